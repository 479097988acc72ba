/** Top-level settings of a Consul agent (`agent/config/config.go`), which a mesh file may have without any use for them here. */
export const known: ReadonlySet<string> = new Set(
  (
    "acl addresses advertise_addr advertise_addr_ipv4 advertise_addr_ipv6 advertise_addr_wan " +
    "advertise_addr_wan_ipv4 advertise_addr_wan_ipv6 advertise_reconnect_timeout ae_interval alt_domain audit " +
    "auto_config auto_encrypt auto_reload_config autopilot bind_addr bootstrap bootstrap_expect build_date " +
    "cache check check_deregister_interval_min check_output_max_size check_reap_interval " +
    "check_update_interval checks client_addr cloud config_entries connect consul data_dir datacenter " +
    "default_intention_policy default_query_time disable_anonymous_signature disable_coordinates " +
    "disable_host_node_id disable_http_unprintable_char_filter disable_keyring_file disable_remote_exec " +
    "disable_update_check discard_check_output discovery_max_stale dns_config domain " +
    "enable_agent_tls_for_checks enable_central_service_config enable_debug enable_local_script_checks " +
    "enable_script_checks enable_syslog encrypt encrypt_verify_incoming encrypt_verify_outgoing experiments " +
    "gossip_lan gossip_wan http_config leave_on_terminate license_path license_poll_base_time " +
    "license_poll_max_time license_update_base_time license_update_max_time limits locality log_file log_json " +
    "log_level log_rotate_bytes log_rotate_duration log_rotate_max_files max_query_time node_id node_meta " +
    "node_name partition peering performance pid_file ports primary_datacenter primary_gateways " +
    "primary_gateways_interval protocol raft_logstore raft_prevote_disabled raft_protocol " +
    "raft_snapshot_interval raft_snapshot_threshold raft_trailing_logs read_replica reconnect_timeout " +
    "reconnect_timeout_wan recursors rejoin_after_leave reporting retry_interval retry_interval_wan " +
    "retry_join retry_join_wan retry_max retry_max_wan revision rpc segment segment_limit segment_name_limit " +
    "segments serf_lan serf_lan_allowed_cidrs serf_wan serf_wan_allowed_cidrs server server_name " +
    "server_rejoin_age_max service services session_ttl_min skip_leave_on_interrupt snapshot_agent " +
    "sync_coordinate_interval_min sync_coordinate_rate_target syslog_facility tagged_addresses telemetry tls " +
    "translate_wan_addrs ui ui_config ui_content_path ui_dir unix_sockets use_streaming_backend version " +
    "version_metadata version_prerelease watches xds " +
    ""
  ).trim().split(" ")
)
