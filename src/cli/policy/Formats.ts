/** In which format a command of `effect-mesh policy` answers. */
import { Flag } from "effect/cli"

const words: { readonly [format: string]: string } = {
  text: "text for people",
  json: "json for machines",
  junit: "junit and tap for CI systems",
  sarif: "sarif for code scanners",
  github: "github for annotations in its Actions",
  markdown: "markdown for a pull request"
}

export const flags = <const F extends ReadonlyArray<string>>(formats: F) => ({
  format: Flag.Literals("format", formats).pipe(
    Flag.withDescription(formats.flatMap((format) => words[format] ?? []).join(", ")),
    Flag.withDefault<F[number]>("text")
  ),
  json: Flag.Boolean("json").pipe(Flag.withDescription("The same as --format json"), Flag.withDefault(false))
})

export const chosen = <F extends string>(
  { format, json }: { readonly format: F; readonly json: boolean }
): F | "json" => json ? "json" : format
