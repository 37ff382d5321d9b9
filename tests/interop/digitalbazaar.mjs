// @digitalbazaar/vc with eddsa-rdfc-2022: verifies credentials with their status lists, and issues.

import * as bitstring from '@digitalbazaar/vc-bitstring-status-list'
import { DataIntegrityProof } from '@digitalbazaar/data-integrity'
import * as Ed25519Multikey from '@digitalbazaar/ed25519-multikey'
import { cryptosuite } from '@digitalbazaar/eddsa-rdfc-2022-cryptosuite'
import * as vc from '@digitalbazaar/vc'

import { serve } from './peer.mjs'

const key = await Ed25519Multikey.generate()
const did = `did:key:${key.publicKeyMultibase}`
key.id = `${did}#${key.publicKeyMultibase}`
key.controller = did

const MULTIKEY = 'https://w3id.org/security/multikey/v1'

/** Contexts come from the caller and DID documents from their sites; nothing else is fetched. */
function loader(contexts) {
  return async (url) => {
    if (contexts[url]) return { contextUrl: null, documentUrl: url, document: contexts[url] }
    if (url.startsWith('did:')) return { contextUrl: null, documentUrl: url, document: await dereference(url) }
    if (url.startsWith('https://localhost:')) return { contextUrl: null, documentUrl: url, document: await json(url) }
    return vc.defaultDocumentLoader(url)
  }
}

async function json(url) {
  const response = await fetch(url)
  if (!response.ok) throw new Error(`${url}: ${response.status}`)
  return response.json()
}

async function dereference(url) {
  const [id, fragment] = url.split('#')
  const document = id.startsWith('did:key:') ? keyDocument(id) : await json(siteOf(id))
  if (fragment === undefined) return document
  const method = document.verificationMethod.find((one) => one.id === url)
  if (!method) throw new Error(`${url} is not in the document`)
  return { '@context': MULTIKEY, ...method }
}

function siteOf(id) {
  const [host, ...path] = id.slice('did:web:'.length).split(':').map(decodeURIComponent)
  return `https://${host}/${path.length > 0 ? path.join('/') : '.well-known'}/did.json`
}

function keyDocument(id) {
  const publicKeyMultibase = id.slice('did:key:'.length)
  const method = `${id}#${publicKeyMultibase}`
  return {
    '@context': ['https://www.w3.org/ns/did/v1', MULTIKEY],
    id,
    verificationMethod: [{ id: method, type: 'Multikey', controller: id, publicKeyMultibase }],
    assertionMethod: [method],
    authentication: [method],
  }
}

const settings = { contexts: {}, lists: 'verified' }

/** Sets the contexts, and whether a status list's own proof is `verified` or the list is read `by_bits`. */
function use(changes) {
  Object.assign(settings, changes)
}

async function verify({ credential }) {
  const { contexts, lists } = settings
  const checkStatus = (options) =>
    bitstring.checkStatus({ ...options, verifyBitstringStatusListCredential: lists === 'verified' })
  const result = await vc.verifyCredential({
    credential: JSON.parse(credential),
    suite: new DataIntegrityProof({ cryptosuite }),
    documentLoader: loader(contexts),
    checkStatus,
  })
  const errors = result.error?.errors ?? [result.error ?? result.statusResult?.error]
  if (!result.verified) throw new Error(errors.map((error) => error?.message ?? 'its status').join('; '))
  // The package leaves the meaning of a set bit to its caller.
  const set = result.statusResult?.results?.find(({ status }) => status)
  if (set) throw new Error(`status: ${set.credentialStatus.statusPurpose}`)
  return { claims: JSON.parse(credential) }
}

async function issue({ claims }) {
  const suite = new DataIntegrityProof({ signer: key.signer(), cryptosuite })
  const documentLoader = loader(settings.contexts)
  const credential = await vc.issue({ credential: { ...claims, issuer: did }, suite, documentLoader })
  return { issuer: did, credential: JSON.stringify(credential) }
}

/** Signs a presentation with the key of this peer, bound to a challenge and a domain. */
async function present({ credential, challenge, domain }) {
  const suite = new DataIntegrityProof({ signer: key.signer(), cryptosuite })
  const documentLoader = loader(settings.contexts)
  const verifiableCredential = [JSON.parse(credential)]
  const presentation = vc.createPresentation({ verifiableCredential, holder: did, version: 2.0 })
  return vc.signPresentation({ presentation, suite, challenge, domain, documentLoader })
}

const packages = ['vc', 'data-integrity', 'eddsa-rdfc-2022-cryptosuite', 'vc-bitstring-status-list']
await serve(packages.map((name) => `@digitalbazaar/${name}`), { use, verify, issue, present })
