/**
 * How a program of the mesh ends. `NodeRuntime.runMain` by itself exits with 130 after SIGTERM, which systemd and Kubernetes
 * show as a failure though everything was closed in order.
 *
 *     NodeRuntime.runMain(Layer.launch(service), { teardown: Teardown.orderly })
 */
import { Cause, Exit, type Runtime } from "effect"

/** 0 when it ended by itself or was asked to end (Ctrl-C, SIGTERM); 1 when it failed. */
export const orderly: Runtime.Teardown = (exit, onExit) =>
  onExit(Exit.isSuccess(exit) || Cause.hasInterruptsOnly(exit.cause) ? 0 : 1)
