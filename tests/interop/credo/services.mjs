// An issuer and a verifier of credo-ts on one loopback port: OpenID4VCI 1.0 and OpenID4VP 1.0.

import { createServer } from 'node:http'

import { JwsService } from '@credo-ts/core'
import { OpenId4VcModule, OpenId4VcVerificationSessionRepository } from '@credo-ts/openid4vc'

/** What is issued, by configuration id: a type of Carnet's catalogue, and one that the catalogue does not have. */
const TYPES = {
  qualification: { vct: 'urn:carnet:type:qualification:1', name: 'Qualification', days: 300 },
  pid: { vct: 'urn:eudi:pid:1', name: 'Person identification data' },
}
const ALGORITHMS = ['ES256', 'EdDSA']

/** Opens a port that the system picks, and makes the module that answers there. */
export async function openServices() {
  const server = createServer()
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve))
  const url = `http://127.0.0.1:${server.address().port}`
  const openid4vc = new OpenId4VcModule({
    issuer: { baseUrl: `${url}/issuer`, credentialRequestToCredentialMapper: credentials },
    verifier: { baseUrl: `${url}/verifier` },
  })
  server.on('request', openid4vc.config.app)
  return openid4vc
}

/** The credentials of a session: one for each key, with the claims of its offer, and without an end if its type has none. */
function credentials({ holderBinding, issuanceSession }) {
  const { claims, method, configuration } = issuanceSession.issuanceMetadata
  const { vct, days } = TYPES[configuration]
  const now = Math.floor(Date.now() / 1000)
  const end = days ? { exp: now + days * 86_400 } : {}
  const payload = { vct, nbf: now, ...end, ...claims }
  const sign = (key) => ({
    payload,
    issuer: { method: 'did', didUrl: method },
    holder: { method: 'jwk', jwk: key.jwk },
    disclosureFrame: { _sd: Object.keys(claims) },
  })
  return { type: 'credentials', format: 'dc+sd-jwt', credentials: holderBinding.keys.map(sign) }
}

/** An entry of `credential_configurations_supported`. */
function configured([id, { vct, name }]) {
  const configuration = {
    format: 'dc+sd-jwt',
    vct,
    scope: id,
    cryptographic_binding_methods_supported: ['jwk'],
    credential_signing_alg_values_supported: ['ES256'],
    proof_types_supported: { jwt: { proof_signing_alg_values_supported: ALGORITHMS } },
    credential_metadata: { display: [{ name, locale: 'en' }] },
  }
  return [id, configuration]
}

const decode = (text) => JSON.parse(Buffer.from(text, 'base64url'))

let services

/** The issuer, the verifier and the DID of both; made at the first call. */
async function ready(agent) {
  if (services) return services
  const { keyId } = await agent.kms.createKeyForSignatureAlgorithm({ algorithm: 'ES256' })
  const { didState } = await agent.dids.create({ method: 'jwk', options: { keyId } })
  const issuer = await agent.openid4vc.issuer.createIssuer({
    display: [{ name: 'A university that another house runs', locale: 'en' }],
    batchCredentialIssuance: { batchSize: 10 },
    credentialConfigurationsSupported: Object.fromEntries(Object.entries(TYPES).map(configured)),
  })
  const verifier = await agent.openid4vc.verifier.createVerifier({ clientMetadata: { client_name: 'Another office' } })
  services = { issuer, verifier, did: didState.did, keyId }
  return services
}

/** Creates an offer of these claims, with a `tx_code` if it is to have one. */
export async function offer(agent, { claims, configuration = 'qualification', withCode = false }) {
  const { issuer, did } = await ready(agent)
  const txCode = withCode ? { input_mode: 'numeric', length: 6 } : undefined
  const { credentialOffer, issuanceSession } = await agent.openid4vc.issuer.createCredentialOffer({
    issuerId: issuer.issuerId,
    credentialConfigurationIds: [configuration],
    preAuthorizedCodeFlowConfig: { txCode },
    issuanceMetadata: { claims, configuration, method: `${did}#0` },
    version: 'v1',
  })
  return { link: credentialOffer, txCode: issuanceSession.userPin, session: issuanceSession.id, issuer: did }
}

/**
 * Creates a signed request for these claims of a type. The library sets the request's own URL as its `aud`;
 * with `audience` the object is signed again with that, and `altered` adds something to its nonce afterwards.
 */
export async function ask(agent, args) {
  const { claims, configuration = 'qualification', audience, altered = false, responseMode = 'direct_post.jwt' } = args
  const { verifier, did, keyId } = await ready(agent)
  const credential = {
    id: 'one',
    format: 'dc+sd-jwt',
    meta: { vct_values: [TYPES[configuration].vct] },
    claims: claims.map((name) => ({ path: [name] })),
  }
  const { authorizationRequest, verificationSession } = await agent.openid4vc.verifier.createAuthorizationRequest({
    verifierId: verifier.verifierId,
    requestSigner: { method: 'did', didUrl: `${did}#0` },
    dcql: { query: { credentials: [credential] } },
    responseMode,
    version: 'v1',
  })
  if (audience) {
    const [header, payload] = verificationSession.authorizationRequestJwt.split('.').slice(0, 2).map(decode)
    verificationSession.authorizationRequestJwt = await agent.dependencyManager
      .resolve(JwsService)
      .createJwsCompact(agent.context, {
        payload: Buffer.from(JSON.stringify({ ...payload, aud: audience })),
        keyId,
        protectedHeaderOptions: header,
      })
    if (altered) {
      const [signedHeader, signed, signature] = verificationSession.authorizationRequestJwt.split('.')
      const content = { ...decode(signed), nonce: `${payload.nonce}A` }
      const bent = Buffer.from(JSON.stringify(content)).toString('base64url')
      verificationSession.authorizationRequestJwt = [signedHeader, bent, signature].join('.')
    }
    const sessions = agent.dependencyManager.resolve(OpenId4VcVerificationSessionRepository)
    await sessions.update(agent.context, verificationSession)
  }
  return { link: authorizationRequest, session: verificationSession.id }
}

/** The state of an offer's session. */
export async function issued(agent, { session }) {
  const record = await agent.openid4vc.issuer.getIssuanceSessionById(session)
  return { state: record.state, error: record.errorMessage ?? null }
}

/** The state of a request's session, and the claims that it was answered with. */
export async function answered(agent, { session }) {
  const record = await agent.openid4vc.verifier.getVerificationSessionById(session)
  if (record.state !== 'ResponseVerified') return { state: record.state, error: record.errorMessage ?? null }
  const { dcql } = await agent.openid4vc.verifier.getVerifiedAuthorizationResponse(session)
  return { state: record.state, claims: dcql.presentations.one[0].prettyClaims }
}
