/** The definitions as descriptors that the Protobuf runtime reads and writes by. Built once, when first needed. */
import { create, createFileRegistry, type DescMessage, type FileRegistry } from "@bufbuild/protobuf"
import {
  type DescriptorProto,
  DescriptorProtoSchema,
  EnumDescriptorProtoSchema,
  EnumValueDescriptorProtoSchema,
  FieldDescriptorProto_Label,
  FieldDescriptorProto_Type,
  FieldDescriptorProtoSchema,
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers,
  type FileDescriptorProto,
  FileDescriptorProtoSchema,
  FileDescriptorSetSchema,
  OneofDescriptorProtoSchema
} from "@bufbuild/protobuf/wkt"
import { definitions, type Name } from "./Messages.ts"
import { fullName, packages } from "./Packages.ts"

const wellKnownFiles = [
  file_google_protobuf_any,
  file_google_protobuf_duration,
  file_google_protobuf_empty,
  file_google_protobuf_struct,
  file_google_protobuf_timestamp,
  file_google_protobuf_wrappers
]

type Body = Readonly<Record<string, string | number>>

const scalars: Readonly<Record<string, FieldDescriptorProto_Type>> = {
  string: FieldDescriptorProto_Type.STRING,
  bytes: FieldDescriptorProto_Type.BYTES,
  bool: FieldDescriptorProto_Type.BOOL,
  double: FieldDescriptorProto_Type.DOUBLE,
  int32: FieldDescriptorProto_Type.INT32,
  uint32: FieldDescriptorProto_Type.UINT32,
  int64: FieldDescriptorProto_Type.INT64,
  uint64: FieldDescriptorProto_Type.UINT64
}

const isEnum = (body: Body): boolean => typeof Object.values(body)[0] === "number"

const bodies: Readonly<Record<string, Body>> = definitions

const typed = (name: string) => {
  const scalar = scalars[name]
  if (scalar !== undefined) return { type: scalar }
  const body = bodies[name]
  const type = body !== undefined && isEnum(body) ? FieldDescriptorProto_Type.ENUM : FieldDescriptorProto_Type.MESSAGE
  return { type, typeName: `.${fullName(name)}` }
}

const label = (repeated: boolean) =>
  repeated ? FieldDescriptorProto_Label.REPEATED : FieldDescriptorProto_Label.OPTIONAL

/** The parts of `"5 repeated core.Address in address"`. */
const shape = /^(\d+) (?:(repeated|map) )?(\S+)(?: in (\S+))?$/

/** The message that stands for the entries of a map, as the Protobuf compiler names it. */
const entryName = (field: string): string =>
  `${field.split("_").map((part) => part.slice(0, 1).toUpperCase() + part.slice(1)).join("")}Entry`

const entry = (field: string, value: string): DescriptorProto =>
  create(DescriptorProtoSchema, {
    name: entryName(field),
    options: { mapEntry: true },
    field: [
      create(FieldDescriptorProtoSchema, { name: "key", number: 1, label: label(false), ...typed("string") }),
      create(FieldDescriptorProtoSchema, { name: "value", number: 2, label: label(false), ...typed(value) })
    ]
  })

const message = (name: string, body: Body): DescriptorProto => {
  const oneofs: Array<string> = []
  const nested: Array<DescriptorProto> = []
  const field = Object.entries(body).map(([field, definition]) => {
    const [, number, kind, type, oneof] = shape.exec(String(definition))!
    if (kind === "map") nested.push(entry(field, type!))
    if (oneof !== undefined && !oneofs.includes(oneof)) oneofs.push(oneof)
    return create(FieldDescriptorProtoSchema, {
      name: field,
      number: Number(number),
      label: label(kind !== undefined),
      ...(kind === "map"
        ? { type: FieldDescriptorProto_Type.MESSAGE, typeName: `.${fullName(name)}.${entryName(field)}` }
        : typed(type!)),
      ...(oneof !== undefined && { oneofIndex: oneofs.indexOf(oneof) })
    })
  })
  return create(DescriptorProtoSchema, {
    name: name.slice(name.lastIndexOf(".") + 1),
    field,
    nestedType: nested,
    oneofDecl: oneofs.map((name) => create(OneofDescriptorProtoSchema, { name }))
  })
}

const enumeration = (name: string, body: Body) =>
  create(EnumDescriptorProtoSchema, {
    name: name.slice(name.lastIndexOf(".") + 1),
    value: Object.entries(body).map(([name, number]) =>
      create(EnumValueDescriptorProtoSchema, { name, number: Number(number) })
    )
  })

/** `core` of `core.Address`; nothing for what is well known. */
const packageOf = (name: string): string => name.slice(0, Math.max(0, name.indexOf(".")))

/** One file for each package, those first that others refer to. No two packages need each other. */
const build = (): FileRegistry => {
  const messages = new Map<string, DescriptorProto>()
  const files = new Map<string, FileDescriptorProto>()
  const needs = new Map<string, Set<string>>()
  // Parents before what is nested in them.
  for (const [name, body] of Object.entries(bodies).toSorted(([a], [b]) => parts(a) - parts(b))) {
    const own = packageOf(name)
    const file = files.get(own) ?? emptyFile(own)
    files.set(own, file)
    const parent = messages.get(name.slice(0, name.lastIndexOf(".")))
    if (isEnum(body)) (parent ?? file).enumType.push(enumeration(name, body))
    else {
      const made = message(name, body)
      messages.set(name, made)
      if (parent === undefined) file.messageType.push(made)
      else parent.nestedType.push(made)
      for (const field of Object.values(body)) {
        needs.set(own, (needs.get(own) ?? new Set()).add(packageOf(shape.exec(String(field))![3]!)))
      }
    }
  }
  const ordered = new Set<FileDescriptorProto>()
  const place = (own: string): void => {
    const file = files.get(own)
    files.delete(own)
    if (file === undefined) return
    needs.get(own)?.forEach(place)
    ordered.add(file)
  }
  for (const own of files.keys()) place(own)
  const file = [...wellKnownFiles.map((file) => file.proto), ...ordered]
  return createFileRegistry(create(FileDescriptorSetSchema, { file }))
}

const parts = (name: string): number => name.split(".").length

const emptyFile = (own: string) =>
  create(FileDescriptorProtoSchema, {
    name: `${own}.proto`,
    package: packages[own as keyof typeof packages],
    syntax: "proto3"
  })

let built: FileRegistry | undefined

export const registry = (): FileRegistry => built ??= build()

/** The descriptor of a message by its short name. */
export const descriptor = (name: Name): DescMessage => registry().getMessage(fullName(name))!
