// An agent of credo-ts with everything in memory: nothing outlives the process, is compiled or is downloaded.

import 'reflect-metadata'

import { Agent, InjectionSymbols, Kms, RecordDuplicateError, RecordNotFoundError } from '@credo-ts/core'
import { NodeInMemoryKeyManagementStorage, NodeKeyManagementService, agentDependencies } from '@credo-ts/node'

class MemoryStorage {
  supportsCursorPagination = false
  #records = new Map()

  #key(type, id) {
    return `${type}/${id}`
  }

  async save(_context, record) {
    const key = this.#key(record.type, record.id)
    if (this.#records.has(key)) throw new RecordDuplicateError(`${key} is there`, { recordType: record.type })
    this.#records.set(key, record)
  }

  async update(_context, record) {
    await this.getById(_context, record, record.id)
    this.#records.set(this.#key(record.type, record.id), record)
  }

  async delete(_context, record) {
    await this.deleteById(_context, record, record.id)
  }

  async deleteById(_context, { type }, id) {
    if (!this.#records.delete(this.#key(type, id))) throw new RecordNotFoundError(`no ${id}`, { recordType: type })
  }

  async getById(_context, { type }, id) {
    const record = this.#records.get(this.#key(type, id))
    if (!record) throw new RecordNotFoundError(`no ${id}`, { recordType: type })
    return record
  }

  async getAll(_context, { type }) {
    return [...this.#records.values()].filter((record) => record.type === type)
  }

  async findByQuery(context, recordClass, query) {
    return (await this.getAll(context, recordClass)).filter((record) => matches(record.getTags(), query))
  }
}

function matches(tags, { $and, $or, $not, ...simple }) {
  const has = ([name, wanted]) => {
    if (wanted === undefined) return true
    return Array.isArray(wanted) ? wanted.every((one) => tags[name]?.includes(one)) : tags[name] === wanted
  }
  return (
    Object.entries(simple).every(has) &&
    ($and ?? []).every((query) => matches(tags, query)) &&
    ($or === undefined || $or.some((query) => matches(tags, query))) &&
    ($not === undefined || !matches(tags, $not))
  )
}

/** Starts an agent with these modules. Plain HTTP is for trials on loopback. */
export async function startAgent(modules) {
  const keys = new Kms.KeyManagementModule({
    backends: [new NodeKeyManagementService(new NodeInMemoryKeyManagementStorage())],
  })
  const storage = {
    register: (manager) => manager.registerInstance(InjectionSymbols.StorageService, new MemoryStorage()),
  }
  const agent = new Agent({
    config: { allowInsecureHttpUrls: true, autoUpdateStorageOnStartup: true },
    dependencies: agentDependencies,
    modules: { keys, storage, ...modules },
  })
  await agent.initialize()
  return agent
}
