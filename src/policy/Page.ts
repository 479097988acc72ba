import * as Matrix from "./Matrix.ts"
export const render = (matrix: Matrix.Matrix, defaultPolicy: string): string => JSON.stringify([defaultPolicy, Matrix.toJson(matrix)])
