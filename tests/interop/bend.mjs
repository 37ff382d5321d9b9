// Faults in an SD-JWT, by name: `claim`, `signature`, `key_binding`; any other leaves it as it is.

const decode = (text) => JSON.parse(Buffer.from(text, 'base64url'))
const encode = (value) => Buffer.from(JSON.stringify(value)).toString('base64url')

/** Replaces the first character of a signature. */
function broken(jwt) {
  const [header, payload, signature] = jwt.split('.')
  return [header, payload, `${signature.startsWith('A') ? 'B' : 'A'}${signature.slice(1)}`].join('.')
}

/** Replaces the value of the first disclosed claim that is a text or a number. */
function withAnotherValue(parts) {
  const place = parts.findIndex((part, index) => {
    const value = index > 0 && part !== '' && !part.includes('.') && decode(part).at(-1)
    return typeof value === 'string' || typeof value === 'number'
  })
  if (place < 0) throw new Error('no disclosed claim can be changed')
  const disclosure = decode(parts[place])
  const value = disclosure.pop()
  return parts.with(place, encode([...disclosure, typeof value === 'number' ? value + 1 : `${value} and more`]))
}

export function bend(sdJwt, fault) {
  const parts = sdJwt.split('~')
  if (fault === 'claim') return withAnotherValue(parts).join('~')
  if (fault === 'signature') return parts.with(0, broken(parts[0])).join('~')
  if (fault === 'key_binding') return parts.with(-1, broken(parts.at(-1))).join('~')
  if (fault === 'no_key_binding') return parts.with(-1, '').join('~')
  return sdJwt
}
