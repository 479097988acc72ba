/** Conditions can not be analysed, or not within the budget. Thrown inside this folder, and a value at its edges. */
export class Refusal extends Error {}
