/**
 * How much a peer may send over an HTTP/2 connection before it hears that it arrived, all streams together: as much as 256 of them
 * may by themselves. The 64 KiB of the protocol would be shared by all, so that a connection with a round trip of 10 ms carried 6 MB/s.
 * It keeps nobody from sending too much: Node says at once of every byte that it arrived, and holds back for each stream.
 */
export const bytes = 256 * 65_535
