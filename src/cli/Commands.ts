/** The commands. Of a command line that names one only that one is loaded: a sidecar is not to carry the analysis of policy around. */

/** In the order of the help. */
const loaders = {
  demo: async () => (await import("./demo.ts")).demo,
  up: async () => (await import("./up.ts")).up,
  proxy: async () => (await import("./proxy.ts")).proxy,
  gateway: async () => (await import("./gateway.ts")).gateway,
  envoy: async () => (await import("./envoy.ts")).envoy,
  check: async () => (await import("./check.ts")).check,
  top: async () => (await import("./top.ts")).top,
  agent: async () => (await import("./agent.ts")).agent,
  "redirect-traffic": async () => (await import("./redirect.ts")).redirect,
  ca: async () => (await import("./ca.ts")).ca,
  certs: async () => (await import("./certs.ts")).certs,
  policy: async () => (await import("./policy.ts")).policy,
  route: async () => (await import("./route.ts")).route
}

type Name = keyof typeof loaders

export type Command = Awaited<ReturnType<(typeof loaders)[Name]>>

/** The one that `args` begin with. All of them where they begin otherwise, for help and for errors. */
export const load = ([first]: ReadonlyArray<string>): Promise<ReadonlyArray<Command>> =>
  Promise.all((isName(first) ? [loaders[first]] : Object.values(loaders)).map((load): Promise<Command> => load()))

const isName = (text: string | undefined): text is Name => text !== undefined && Object.hasOwn(loaders, text)
