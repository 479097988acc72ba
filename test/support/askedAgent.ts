/** An agent that is asked who may connect, and answers when and as a test says. */
import type { ServerResponse } from "node:http"
import { Effect } from "effect"
import * as Agents from "./agents.ts"

export interface Asked {
  readonly Target: string
  readonly ClientCertURI: string
  readonly ClientCertSerial: string
}

export interface Held {
  readonly asked: Asked
  readonly response: ServerResponse
}

/** Holds every question. */
export const make = Effect.fnUntraced(function*(port?: number) {
  const questions: Array<Asked> = []
  const held = new Set<Held>()
  let most = 0
  let answer: ((question: Held) => void) | undefined
  const agent = yield* Agents.badAgent((request, response) => {
    const chunks: Array<Buffer> = []
    request.on("data", (chunk: Buffer) => chunks.push(chunk))
    request.on("end", () => {
      const question = { asked: JSON.parse(Buffer.concat(chunks).toString()), response }
      questions.push(question.asked)
      response.once("close", () => held.delete(question))
      held.add(question)
      most = Math.max(most, held.size)
      answer?.(question)
    })
  }, port)
  return {
    ...agent,
    /** Everything that was asked, in order. */
    questions,
    held: () => [...held],
    /** How many questions were open at once, at most. */
    most: () => most,
    /** For the questions that are held, and those to come; undefined: they are held. */
    answer: (next: ((question: Held) => void) | undefined) => {
      answer = next
      if (next !== undefined) held.forEach(next)
    }
  }
})

export const allow = ({ response }: Held): void => Agents.json(response, { Authorized: true, Reason: "let in" })
export const deny = ({ response }: Held): void => Agents.json(response, { Authorized: false, Reason: "not today" })
/** With a status and a text. */
export const fail = (status: number, body: string) => ({ response }: Held): void => {
  response.statusCode = status
  response.setHeader("Content-Type", "text/plain; charset=utf-8")
  response.end(body)
}
