import { OpenId4VcModule } from '@credo-ts/openid4vc'

import { serve } from '../peer.mjs'
import { startAgent } from './agent.mjs'
import * as wallet from './wallet.mjs'

const agent = await startAgent({ openid4vc: new OpenId4VcModule() })
const bound = (verbs) => Object.fromEntries(Object.entries(verbs).map(([name, verb]) => [name, (args) => verb(agent, args)]))

await serve(['@credo-ts/openid4vc', '@credo-ts/core', '@openid4vc/openid4vci', '@openid4vc/openid4vp'], bound(wallet))
