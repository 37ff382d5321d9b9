// A wallet of credo-ts: receives over OpenID4VCI 1.0, presents over OpenID4VP 1.0.

import { DcqlService, Kms } from '@credo-ts/core'

import { bend } from '../bend.mjs'

/** Receives copies of an offered credential in one of its formats; each copy has a key of its own. */
export async function receive(agent, { offer, txCode, format, algorithm, copies, method = 'jwk' }) {
  const holder = agent.openid4vc.holder
  const resolved = await holder.resolveCredentialOffer(offer)
  const offered = Object.entries(resolved.offeredCredentialConfigurations)
  const id = offered.find(([, configuration]) => configuration.format === format)?.[0]
  if (!id) throw new Error(`${format} is not offered: ${offered.map(([name]) => name)}`)
  const token = await holder.requestToken({ resolvedCredentialOffer: resolved, txCode })
  const bound = async () => {
    const created = []
    for (let copy = 0; copy < copies; copy += 1) {
      created.push(await agent.kms.createKeyForSignatureAlgorithm({ algorithm }))
    }
    if (method === 'jwk') return { method, keys: created.map((key) => Kms.PublicJwk.fromPublicJwk(key.publicJwk)) }
    const dids = created.map(({ keyId }) => agent.dids.create({ method: 'jwk', options: { keyId } }))
    return { method, didUrls: (await Promise.all(dids)).map((one) => `${one.didState.did}#0`) }
  }
  const { credentials, deferredCredentials } = await holder.requestCredentials({
    resolvedCredentialOffer: resolved,
    ...token,
    credentialConfigurationIds: [id],
    credentialBindingResolver: bound,
  })
  const { record, notificationId } = credentials[0] ?? {}
  if (!record) throw new Error(`deferred: ${JSON.stringify(deferredCredentials)}`)
  await agent.sdJwtVc.store({ record })
  if (notificationId) {
    await holder.sendNotification({
      metadata: resolved.metadata,
      accessToken: token.accessToken,
      notificationId,
      notificationEvent: 'credential_accepted',
    })
  }
  return {
    draft: resolved.metadata.originalDraftVersion,
    credentials: record.credentialInstances.map((instance) => instance.compactSdJwtVc),
    notified: notificationId !== undefined,
    record: record.id,
  }
}

/** Verifies an SD-JWT VC with its status list, as the wallet does before it keeps one. */
export async function verify(agent, { credential, fault }) {
  const { isValid, error, sdJwtVc } = await agent.sdJwtVc.verify({ compactSdJwtVc: bend(credential, fault) })
  return { valid: isValid, error: error ? String(error.message) : null, claims: sdJwtVc?.prettyClaims }
}

/** Reads a request, and has the library verify it. With `altered`, its payload is no longer what was signed. */
export async function read(agent, { request, altered = false }) {
  const link = new URL(request)
  const response = await fetch(link.searchParams.get('request_uri'))
  const [header, payload, signature] = (await response.text()).split('.')
  const content = JSON.parse(Buffer.from(payload, 'base64url'))
  if (altered) content.nonce = `${content.nonce}A`
  const object = [header, Buffer.from(JSON.stringify(content)).toString('base64url'), signature].join('.')
  const byValue = new URL(`openid4vp://?${new URLSearchParams({ client_id: content.client_id, request: object })}`)
  const resolved = await agent.openid4vc.holder.resolveOpenId4VpAuthorizationRequest(byValue.href)
  return { prefix: resolved.verifier.clientIdPrefix, clientId: resolved.verifier.effectiveClientId }
}

/**
 * Answers a request from the stored credentials, in the response mode that it demands. `fault` names what is wrong
 * with the presentation.
 */
export async function present(agent, { request, fault }) {
  const holder = agent.openid4vc.holder
  const resolved = await holder.resolveOpenId4VpAuthorizationRequest(request)
  const payload = resolved.authorizationRequestPayload
  const credentials = holder.selectCredentialsForDcqlRequest(resolved.dcql.queryResult)
  const asked = { ...payload }
  if (fault === 'nonce') asked.nonce = `${payload.nonce.slice(0, -1)}${payload.nonce.endsWith('A') ? 'Q' : 'A'}`
  if (fault === 'audience') asked.client_id = `${payload.client_id}x`
  const dcql = agent.dependencyManager.resolve(DcqlService)
  const create = dcql.createPresentation
  dcql.createPresentation = async (...args) => {
    const made = await create.apply(dcql, args)
    for (const [id, presentations] of Object.entries(made.encodedDcqlPresentation)) {
      made.encodedDcqlPresentation[id] = presentations.map((presentation) => bend(presentation, fault))
    }
    return made
  }
  try {
    const { serverResponse } = await holder.acceptOpenId4VpAuthorizationRequest({
      authorizationRequestPayload: asked,
      dcql: { credentials },
    })
    return { ...serverResponse, mode: payload.response_mode, queries: Object.keys(credentials) }
  } finally {
    dcql.createPresentation = create
  }
}
