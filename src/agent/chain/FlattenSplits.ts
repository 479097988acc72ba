/** A splitter that leads to a splitter becomes one splitter, and what nothing leads to any more goes away. */
import { Schema } from "effect"
import type { HeaderModifiers } from "../../consul/config/Common.ts"
import { Split as SplitterSplit } from "../../consul/config/ServiceSplitter.ts"
import type * as DiscoveryChain from "../../consul/DiscoveryChain.ts"

interface Node extends DiscoveryChain.Node {
  readonly definitions?: ReadonlyArray<SplitterSplit>
}

interface Leg {
  readonly weight: number
  readonly next: string
  readonly definition: SplitterSplit
}

/** `refuse` is called with the circle, if there is one. */
export const flatten = (
  nodes: ReadonlyMap<string, Node>,
  start: string,
  refuse: (reason: string) => never
): Map<string, DiscoveryChain.Node> => {
  const legsOf = (key: string, path: ReadonlyArray<string>): ReadonlyArray<Leg> => {
    if (path.includes(key)) {
      return refuse(`detected circular reference: [${[...path.slice(path.indexOf(key)), key].join(" -> ")}]`)
    }
    const node = nodes.get(key)
    const definitions = node?.definitions ?? []
    return (node?.Splits ?? []).flatMap((split, index): ReadonlyArray<Leg> => {
      const definition = definitions[index]
      if (definition === undefined) return []
      if (nodes.get(split.NextNode)?.Type !== "splitter") {
        return [{ weight: split.Weight, next: split.NextNode, definition }]
      }
      return legsOf(split.NextNode, [...path, key]).map((leg) => ({
        weight: Math.round(split.Weight * leg.weight) / 100,
        next: leg.next,
        definition: inherit(definition, leg.definition)
      }))
    })
  }

  const result = new Map<string, DiscoveryChain.Node>()
  const visit = (key: string): void => {
    const node = nodes.get(key)
    if (node === undefined || result.has(key)) return
    const { definitions: _definitions, ...plain } = node
    if (node.Type === "splitter") {
      const legs = legsOf(key, [])
      result.set(key, {
        ...plain,
        Splits: legs.map(({ definition, next, weight }) => ({
          Definition: Schema.encodeSync(SplitterSplit)(definition) as Schema.JsonObject,
          Weight: weight,
          NextNode: next
        }))
      })
      for (const { next } of legs) visit(next)
      return
    }
    result.set(key, plain)
    for (const { NextNode } of node.Routes) visit(NextNode)
  }
  visit(start)
  return result
}

/** Of two splitters on the way, the inner one has the last word on requests and the outer one on responses. */
const inherit = (parent: SplitterSplit, child: SplitterSplit): SplitterSplit => {
  const request = merge(parent.RequestHeaders, child.RequestHeaders)
  const response = merge(child.ResponseHeaders, parent.ResponseHeaders)
  return {
    ...child,
    ...(request !== undefined && { RequestHeaders: request }),
    ...(response !== undefined && { ResponseHeaders: response })
  }
}

const merge = (weak: HeaderModifiers | undefined, strong: HeaderModifiers | undefined): HeaderModifiers | undefined =>
  weak === undefined || strong === undefined ? weak ?? strong : {
    Add: { ...weak.Add, ...strong.Add },
    Set: { ...weak.Set, ...strong.Set },
    Remove: [...new Set([...weak.Remove, ...strong.Remove])]
  }
