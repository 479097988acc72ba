/** A real browser for pages that this package serves: Chromium, where there is one. */
import { Effect, type Scope } from "effect"
import { existsSync } from "node:fs"
import { chromium, type Page } from "playwright-core"

const places = [
  process.env["CHROMIUM"] ?? "",
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
  "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome"
]

const executablePath = places.find((path) => path !== "" && existsSync(path))

/** Whether tests have to be left out. It is said once, where nobody overlooks it. */
export const isMissing = executablePath === undefined

if (isMissing) {
  process.stderr.write(
    "\n!! No Chromium was found, so that NO PAGE IS TESTED IN A BROWSER. Install it (apt-get install chromium), or name it in " +
      "CHROMIUM.\n\n"
  )
}

export interface Opened {
  readonly page: Page
  /** What the page complained of, and what it asked of anybody but its own server. */
  readonly faults: ReadonlyArray<string>
}

/** A window of its own. */
export const open = Effect.fnUntraced(function*(
  url: string,
  options: { readonly scheme?: "light" | "dark"; readonly width?: number; readonly height?: number } = {}
): Effect.fn.Return<Opened, never, Scope.Scope> {
  // The sandbox of Chromium needs rights that root of a container does not have. It loads nothing but our own page.
  const launch = Effect.promise(() => chromium.launch({ executablePath: executablePath!, args: ["--no-sandbox"] }))
  const browser = yield* Effect.acquireRelease(launch, (browser) => Effect.promise(() => browser.close()))
  const { height = 860, scheme = "light", width = 1280 } = options
  const page = yield* Effect.promise(() => browser.newPage({ colorScheme: scheme, viewport: { width, height } }))
  page.setDefaultTimeout(20_000)
  const faults: Array<string> = []
  page.on("pageerror", ({ message }) => faults.push(message))
  page.on("console", (message) => {
    if (message.type() === "error") faults.push(message.text())
  })
  page.on("request", (request) => {
    if (!request.url().startsWith(new URL(url).origin) && !request.url().startsWith("data:")) faults.push(request.url())
  })
  yield* Effect.promise(() => page.goto(url))
  return { page, faults }
})
