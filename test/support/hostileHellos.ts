/** What a client may say first that leads to no service, and why a gateway turns it away. */
import * as Hellos from "./clientHellos.ts"

export interface Hostile {
  readonly what: string
  /** `sni` makes the name of a service, in a datacenter. There are the services `api` and `db`, and the datacenter `dc1`. */
  readonly bytes: (sni: (service: string, datacenter?: string) => string) => Buffer
  /** Of a mesh gateway. */
  readonly reason: string
  /** Of a terminating gateway, where it says something else. */
  readonly terminating?: string
}

const elsewhere = "99999999-2222-3333-4444-555555555555.consul"

const named = (name: (sni: Parameters<Hostile["bytes"]>[0]) => string): Hostile["bytes"] => (sni) =>
  Hellos.hello(Hellos.serverName(name(sni)))

export const all: ReadonlyArray<Hostile> = [
  { what: "an unknown service", bytes: named((sni) => sni("nobody")), reason: "unknown_service" },
  { what: "a name that begins as a service's does", bytes: named((sni) => sni("api2")), reason: "unknown_service" },
  { what: "a name that ends as a service's does", bytes: named((sni) => sni("x-api")), reason: "unknown_service" },
  { what: "an unknown subset", bytes: named((sni) => sni("v9.api")), reason: "unknown_service" },
  {
    what: "another namespace",
    bytes: named((sni) => sni("api").replace(".default.", ".x.")),
    reason: "unknown_service"
  },
  {
    what: "another partition",
    bytes: named((sni) => sni("api").replace(".dc1.internal.", ".part.dc1.internal-v1.")),
    reason: "unknown_service"
  },
  {
    what: "a service that is exported to nobody",
    bytes: named((sni) => sni("api").replace(".dc1.internal.", ".default.east.external.")),
    reason: "unknown_service",
    terminating: "unknown_name"
  },
  { what: "an unknown datacenter", bytes: named((sni) => sni("api", "dc9")), reason: "unknown_datacenter" },
  {
    what: "a property of every object",
    bytes: named((sni) => sni("api", "constructor")),
    reason: "unknown_datacenter"
  },
  { what: "a name of many labels", bytes: named((sni) => sni("a.b.c.api")), reason: "unknown_name" },
  {
    what: "the trust domain alone",
    bytes: named((sni) => sni("").slice(".default.dc1.internal.".length)),
    reason: "other_trust_domain"
  },
  {
    what: "another trust domain",
    bytes: named(() => `api.default.dc1.internal.${elsewhere}`),
    reason: "other_trust_domain"
  },
  {
    what: "something after the name",
    bytes: named((sni) => `${sni("api")}.example.com`),
    reason: "unknown_name",
    terminating: "other_trust_domain"
  },
  { what: "the web", bytes: named(() => "example.com"), reason: "unknown_name", terminating: "other_trust_domain" },
  {
    what: "the longest name that there may be",
    bytes: named((sni) => `${"a".repeat(252 - sni("api").length)}.${sni("api")}`),
    reason: "unknown_service"
  },
  ...["*", "../api", "api\0", "api\n", "\xe4pi", "api "].map((service): Hostile => ({
    what: JSON.stringify(service),
    bytes: named((sni) => sni(service)),
    reason: "bad_server_name"
  })),
  { what: "a wildcard alone", bytes: named(() => "*"), reason: "bad_server_name" },
  { what: "a dot at the end", bytes: named((sni) => `${sni("api")}.`), reason: "bad_server_name" },
  { what: "an address", bytes: named(() => "::1"), reason: "bad_server_name" },
  { what: "a name that is too long", bytes: named((sni) => sni("a".repeat(300))), reason: "bad_server_name" },
  { what: "a name of 15,000 characters", bytes: named((sni) => sni("a".repeat(15_000))), reason: "bad_server_name" },
  { what: "a name of 60,000 characters", bytes: named((sni) => sni("a".repeat(60_000))), reason: "too_large" },
  {
    what: "two names",
    bytes: (sni) => Hellos.hello(Hellos.extension(0, Hellos.names([0, sni("api")], [0, sni("db")]))),
    reason: "bad_server_name"
  },
  {
    what: "two lists of names",
    bytes: (sni) => Hellos.hello(Hellos.serverName(sni("api")), Hellos.serverName(sni("db"))),
    reason: "duplicate_extension"
  },
  { what: "no name", bytes: () => Hellos.hello(), reason: "no_name" },
  {
    what: "a name behind the hello",
    bytes: (sni) => Buffer.concat([Hellos.hello(), Hellos.hello(Hellos.serverName(sni("api")))]),
    reason: "no_name"
  },
  { what: "a plain request", bytes: () => Buffer.from("GET / HTTP/1.1\r\nhost: api\r\n\r\n"), reason: "not_tls" }
]
