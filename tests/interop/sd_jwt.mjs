// @sd-jwt/sd-jwt-vc: verifies with the published key and the status list, issues and presents.

import { createPublicKey, verify as verifySignature } from 'node:crypto'

import { ES256, digest, generateSalt } from '@sd-jwt/crypto-nodejs'
import { SDJwtVcInstance } from '@sd-jwt/sd-jwt-vc'

import { serve } from './peer.mjs'

const [issuer, holder] = [await ES256.generateKeyPair(), await ES256.generateKeyPair()]
/** A public key without what WebCrypto adds (`ext`, `key_ops`). */
const bare = ({ kty, crv, x, y }) => ({ kty, crv, x, y })
const did = `did:jwk:${Buffer.from(JSON.stringify(bare(issuer.publicKey))).toString('base64url')}`

/** A verifier for a key of either kind; the package itself has none for Ed25519. */
function verifierOf(jwk) {
  const key = createPublicKey({ key: jwk, format: 'jwk' })
  const [hash, options] = jwk.kty === 'OKP' ? [null, { key }] : ['sha256', { key, dsaEncoding: 'ieee-p1363' }]
  return async (data, signature) =>
    verifySignature(hash, Buffer.from(data), options, Buffer.from(signature, 'base64url'))
}

async function statusList(uri) {
  const response = await fetch(uri, { headers: { accept: 'application/statuslist+jwt' } })
  if (!response.ok) throw new Error(`${uri}: ${response.status}`)
  return response.text()
}

/** The key that a credential's header names, from the issuer's metadata. */
async function issuerKey(credential, service) {
  const { kid } = JSON.parse(Buffer.from(credential.split('.')[0], 'base64url'))
  const { jwks } = await (await fetch(`${service}/.well-known/jwt-vc-issuer`)).json()
  const key = jwks.keys.find((one) => one.kid === kid)
  if (!key) throw new Error(`${kid} is not published`)
  return key
}

/** Verifies a credential, or a presentation with its key binding; returns the claims. */
async function verify({ credential, service, nonce }) {
  const instance = new SDJwtVcInstance({
    hasher: digest,
    verifier: verifierOf(await issuerKey(credential, service)),
    kbVerifier: async (data, signature, payload) => verifierOf(payload.cnf.jwk)(data, signature),
    statusListFetcher: statusList,
  })
  const verified = await instance.verify(credential, nonce ? { keyBindingNonce: nonce } : undefined)
  return { claims: verified.payload }
}

async function issue({ claims, disclosable, wholeKey = false }) {
  const signer = await ES256.getSigner(issuer.privateKey)
  const instance = new SDJwtVcInstance({
    signer,
    signAlg: ES256.alg,
    hasher: digest,
    hashAlg: 'sha-256',
    saltGenerator: generateSalt,
  })
  const payload = { iss: did, ...claims, cnf: { jwk: wholeKey ? holder.publicKey : bare(holder.publicKey) } }
  const credential = await instance.issue(payload, { _sd: disclosable }, { header: { kid: `${did}#0` } })
  return { issuer: did, credential }
}

async function present({ credential, disclose, nonce, audience }) {
  const kbSigner = await ES256.getSigner(holder.privateKey)
  const instance = new SDJwtVcInstance({ hasher: digest, kbSigner, kbSignAlg: ES256.alg, saltGenerator: generateSalt })
  const payload = { iat: Math.floor(Date.now() / 1000), nonce, aud: audience }
  return instance.present(credential, Object.fromEntries(disclose.map((name) => [name, true])), { kb: { payload } })
}

await serve(['@sd-jwt/sd-jwt-vc', '@sd-jwt/core', '@sd-jwt/crypto-nodejs'], { verify, issue, present })
