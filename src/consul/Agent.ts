/** What an agent says about itself and its cluster. */
import { Schema } from "effect"
import * as Go from "./GoJson.ts"

export const Member = Schema.Struct({
  Name: Go.text,
  Addr: Go.text,
  Port: Go.number,
  Tags: Go.map(Schema.String),
  /** 1 is alive. */
  Status: Go.number,
  ProtocolMin: Go.number,
  ProtocolMax: Go.number,
  ProtocolCur: Go.number,
  DelegateMin: Go.number,
  DelegateMax: Go.number,
  DelegateCur: Go.number
})
export interface Member extends Schema.Schema.Type<typeof Member> {}

export const Config = Schema.Struct({
  Datacenter: Go.text,
  PrimaryDatacenter: Go.text,
  NodeName: Go.text,
  NodeID: Go.text,
  Revision: Go.text,
  Server: Go.flag,
  Version: Go.text,
  BuildDate: Go.text
})

export const Self = Schema.Struct({
  Config,
  /** Everything the agent was configured with; `DefaultIntentionPolicy` is in here. */
  DebugConfig: Go.map(Schema.Json),
  Coord: Go.map(Schema.Json),
  Member: Go.struct(Member, Member.make({})),
  Stats: Go.map(Schema.Json),
  Meta: Go.map(Schema.String),
  xDS: Go.map(Schema.Json)
})
export interface Self extends Schema.Schema.Type<typeof Self> {}
