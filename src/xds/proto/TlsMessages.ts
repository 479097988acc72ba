/** Certificates, keys and what a peer must show (`envoy/extensions/transport_sockets/tls/v3`). */
export const tls = {
  "tls.UpstreamTlsContext": {
    common_tls_context: "1 tls.CommonTlsContext",
    sni: "2 string",
    allow_renegotiation: "3 bool",
    max_session_keys: "4 UInt32Value"
  },
  "tls.DownstreamTlsContext": {
    common_tls_context: "1 tls.CommonTlsContext",
    require_client_certificate: "2 BoolValue",
    require_sni: "3 BoolValue",
    disable_stateless_session_resumption: "7 bool in session_ticket_keys_type",
    session_timeout: "6 Duration"
  },
  "tls.CommonTlsContext": {
    tls_params: "1 tls.TlsParameters",
    tls_certificates: "2 repeated tls.TlsCertificate",
    tls_certificate_sds_secret_configs: "6 repeated tls.SdsSecretConfig",
    validation_context: "3 tls.CertificateValidationContext in validation_context_type",
    validation_context_sds_secret_config: "7 tls.SdsSecretConfig in validation_context_type",
    combined_validation_context:
      "8 tls.CommonTlsContext.CombinedCertificateValidationContext in validation_context_type",
    alpn_protocols: "4 repeated string"
  },
  "tls.CommonTlsContext.CombinedCertificateValidationContext": {
    default_validation_context: "1 tls.CertificateValidationContext",
    validation_context_sds_secret_config: "2 tls.SdsSecretConfig"
  },
  "tls.TlsParameters": {
    tls_minimum_protocol_version: "1 tls.TlsParameters.TlsProtocol",
    tls_maximum_protocol_version: "2 tls.TlsParameters.TlsProtocol",
    cipher_suites: "3 repeated string",
    ecdh_curves: "4 repeated string"
  },
  "tls.TlsParameters.TlsProtocol": { TLS_AUTO: 0, TLSv1_0: 1, TLSv1_1: 2, TLSv1_2: 3, TLSv1_3: 4 },
  "tls.TlsCertificate": {
    certificate_chain: "1 core.DataSource",
    private_key: "2 core.DataSource",
    password: "3 core.DataSource"
  },
  "tls.CertificateValidationContext": {
    trusted_ca: "1 core.DataSource",
    verify_certificate_spki: "3 repeated string",
    verify_certificate_hash: "2 repeated string",
    match_typed_subject_alt_names: "15 repeated tls.SubjectAltNameMatcher",
    match_subject_alt_names: "9 repeated matcher.StringMatcher",
    crl: "7 core.DataSource",
    allow_expired_certificate: "8 bool",
    trust_chain_verification: "10 tls.CertificateValidationContext.TrustChainVerification",
    custom_validator_config: "12 core.TypedExtensionConfig",
    max_verify_depth: "16 UInt32Value"
  },
  "tls.CertificateValidationContext.TrustChainVerification": { VERIFY_TRUST_CHAIN: 0, ACCEPT_UNTRUSTED: 1 },
  "tls.SubjectAltNameMatcher": {
    san_type: "1 tls.SubjectAltNameMatcher.SanType",
    matcher: "2 matcher.StringMatcher",
    oid: "3 string"
  },
  "tls.SubjectAltNameMatcher.SanType": {
    SAN_TYPE_UNSPECIFIED: 0,
    EMAIL: 1,
    DNS: 2,
    URI: 3,
    IP_ADDRESS: 4,
    OTHER_NAME: 5
  },
  "tls.SPIFFECertValidatorConfig": {
    trust_domains: "1 repeated tls.SPIFFECertValidatorConfig.TrustDomain"
  },
  "tls.SPIFFECertValidatorConfig.TrustDomain": { name: "1 string", trust_bundle: "2 core.DataSource" },
  "tls.SdsSecretConfig": { name: "1 string", sds_config: "2 core.ConfigSource" },
  "tls.Secret": {
    name: "1 string",
    tls_certificate: "2 tls.TlsCertificate in type",
    validation_context: "4 tls.CertificateValidationContext in type"
  }
} as const
