// The command line, and lines of JSON on stdin and stdout; bytes are base64.
'use strict'

const readline = require('readline')

function options() {
  const [scenario, ...rest] = process.argv.slice(2)
  const parsed = { scenario }
  for (let i = 0; i < rest.length; i += 2) {
    parsed[rest[i].slice(2)] = rest[i + 1]
  }
  return parsed
}

const encode = (bytes) => (bytes === null || bytes === undefined ? null : bytes.toString('base64'))
const decode = (text) => (text === null ? null : Buffer.from(text, 'base64'))

/** Prints {name: value}. */
function print(name, value) {
  process.stdout.write(JSON.stringify({ [name]: value }) + '\n')
}

function printRecord(partition, message) {
  print('record', {
    partition,
    offset: Number(message.offset),
    timestamp: Number(message.timestamp),
    key: encode(message.key),
    value: encode(message.value),
    headers: Object.entries(message.headers).flatMap(([name, values]) =>
      [values].flat().map((value) => [name, encode(value)])
    ),
  })
}

/** A record to send. */
function record(line) {
  const { index, partition, key, value, headers, timestamp } = JSON.parse(line)
  const byName = {}
  for (const [name, header] of headers) {
    byName[name] = [...(byName[name] ?? []), decode(header)]
  }
  return {
    index,
    message: {
      partition,
      key: decode(key),
      value: decode(value),
      timestamp: String(timestamp),
      headers: byName,
    },
  }
}

const input = () => readline.createInterface({ input: process.stdin })

module.exports = { options, print, printRecord, record, input }
