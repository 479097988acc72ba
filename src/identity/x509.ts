/** @peculiar/x509 with the reflection polyfill that it needs loaded first. Import it from here, never directly. */
import "reflect-metadata"

export * from "@peculiar/x509"
