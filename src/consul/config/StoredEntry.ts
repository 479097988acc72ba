/** Config entries by kind, with everything that is known about each. */
import { Schema } from "effect"
import { ApiGateway, HttpRoute, InlineCertificate, TcpRoute } from "./ApiGateway.ts"
import { ExportedServices } from "./ExportedServices.ts"
import { JwtProvider } from "./JwtProvider.ts"
import { Mesh } from "./Mesh.ts"
import { Opaque } from "./Opaque.ts"
import { ProxyDefaults } from "./ProxyDefaults.ts"
import { ServiceDefaults } from "./ServiceDefaults.ts"
import { ServiceIntentions } from "./ServiceIntentions.ts"
import { ServiceResolver } from "./ServiceResolver.ts"
import { ServiceRouter } from "./ServiceRouter.ts"
import { ServiceSplitter } from "./ServiceSplitter.ts"
import { TerminatingGateway } from "./TerminatingGateway.ts"

/** The schema of each kind; of some gateway kinds only the envelope is known. */
export const byKind = {
  "proxy-defaults": ProxyDefaults,
  "service-defaults": ServiceDefaults,
  "service-router": ServiceRouter,
  "service-splitter": ServiceSplitter,
  "service-resolver": ServiceResolver,
  "service-intentions": ServiceIntentions,
  mesh: Mesh,
  "exported-services": ExportedServices,
  "jwt-provider": JwtProvider,
  "terminating-gateway": TerminatingGateway,
  "api-gateway": ApiGateway,
  "http-route": HttpRoute,
  "tcp-route": TcpRoute,
  "inline-certificate": InlineCertificate
} as const

export type StoredEntry =
  | ProxyDefaults
  | ServiceDefaults
  | ServiceRouter
  | ServiceSplitter
  | ServiceResolver
  | ServiceIntentions
  | Mesh
  | ExportedServices
  | JwtProvider
  | TerminatingGateway
  | ApiGateway
  | HttpRoute
  | TcpRoute
  | InlineCertificate
  | Opaque

export const StoredEntry: Schema.Codec<StoredEntry, unknown> = Schema.Union([
  ProxyDefaults,
  ServiceDefaults,
  ServiceRouter,
  ServiceSplitter,
  ServiceResolver,
  ServiceIntentions,
  Mesh,
  ExportedServices,
  JwtProvider,
  TerminatingGateway,
  ApiGateway,
  HttpRoute,
  TcpRoute,
  InlineCertificate,
  Opaque
])
