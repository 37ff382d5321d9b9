import { serve } from '../peer.mjs'
import { startAgent } from './agent.mjs'
import * as services from './services.mjs'
import * as wallet from './wallet.mjs'

const agent = await startAgent({ openid4vc: await services.openServices() })
const { openServices, ...verbs } = { ...services, ...wallet }
const bound = Object.entries(verbs).map(([name, verb]) => [name, (args) => verb(agent, args)])
const packages = ['@credo-ts/openid4vc', '@credo-ts/core', '@openid4vc/openid4vci', '@openid4vc/openid4vp']

await serve(packages, Object.fromEntries(bound))
