# An application and its sidecar in one group. The sidecar describes itself to Consul (--register): no connect block, any network mode.

job "api" {
  group "api" {
    count = 2

    network {
      mode = "host"
      port "app" {}
      port "mesh" {}
      port "admin" { host_network = "loopback" }
    }

    task "api" {
      driver = "docker"
      config {
        image        = "registry.example/api:1"
        network_mode = "host"
      }
      env {
        PORT = "${NOMAD_PORT_app}"
      }
    }

    task "sidecar" {
      driver = "docker"

      # The leader stops first: the application answers until the last call is over.
      leader = true

      # The agent's answer (2), --shutdown-delay (2), --drain-timeout (10), and a little more. The client's max_kill_timeout has to allow it.
      kill_signal  = "SIGTERM"
      kill_timeout = "20s"

      config {
        image        = "registry.example/effect-mesh:0.1.0"
        network_mode = "host"
        args = [
          "proxy",
          "--service", "api",
          "--service-addr", "127.0.0.1:${NOMAD_PORT_app}",
          "--listen", "${NOMAD_ADDR_mesh}",
          "--upstream", "billing:9191",
          "--register",
          "--register-id", "${NOMAD_ALLOC_ID}",
          "--admin-bind", "127.0.0.1:${NOMAD_PORT_admin}"
        ]
      }

      # With Nomad's workload identity for Consul: the token of the task, renewed in place.
      consul {}
      env {
        CONSUL_HTTP_ADDR       = "127.0.0.1:8500"
        CONSUL_HTTP_TOKEN_FILE = "${NOMAD_SECRETS_DIR}/consul_token"
      }

      resources {
        cpu    = 200
        memory = 256
      }
    }
  }
}
