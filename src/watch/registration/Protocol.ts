/** What a service speaks. */
export type Protocol = "tcp" | "http" | "http2" | "grpc"

/** Whatever its case. What is unknown is relayed as it is. */
export const fromText = (text: string): Protocol => {
  const lower = text.toLowerCase()
  return lower === "http" || lower === "http2" || lower === "grpc" ? lower : "tcp"
}
