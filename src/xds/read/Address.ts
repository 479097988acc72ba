/** Where something listens: an address of Envoy's. */
import type * as Addresses from "../../watch/registration/Addresses.ts"
import type * as Fields from "./Fields.ts"

/** Undefined: it is of a kind that is not known, which is noted. */
export const read = (fields: Fields.Fields | undefined): Addresses.Address | undefined => {
  const socket = fields?.one("socket_address")
  if (socket !== undefined) {
    const address = { host: socket.text("address"), port: socket.number("port_value") ?? 0 }
    if (address.host !== "" && address.port > 0) return address
    socket.flaw("it has no address or no port")
    return undefined
  }
  const pipe = fields?.one("pipe")
  if (pipe === undefined) {
    fields?.flaw("it is no address that is known")
    return undefined
  }
  const mode = pipe.number("mode") ?? 0
  return { path: pipe.text("path"), ...(mode === 0 ? {} : { mode }) }
}
