// SPDX-License-Identifier: GPL-2.0
// Driver of MQTT.js for client-matrix, which says what it reads and prints.
'use strict'
const mqtt = require('mqtt')
const readline = require('readline')

const [port, version] = process.argv.slice(2).map(Number)
const SESSION_EXPIRY = 3600
const KEEP_ALIVE = 60
let client

const say = (...words) => process.stdout.write(words.join(' ') + '\n')
const answer = (...words) => err => err ? say('failed', words[0], err.message) : say(...words)

// n words, then the rest, blanks and all
function split (text, n) {
  const words = text.split(' ')
  return [...words.slice(0, n), words.slice(n).join(' ')]
}

const commands = {
  connect (rest) {
    const [clientId, clean, qos, retain, topic, payload] = split(rest, 5)
    const options = {
      clientId,
      clean: clean === '1',
      host: '127.0.0.1',
      port,
      keepalive: KEEP_ALIVE,
      protocolId: version === 3 ? 'MQIsdp' : 'MQTT',
      protocolVersion: version,
      reconnectPeriod: 0,
      resubscribe: false
    }
    if (topic) options.will = { topic, payload, qos: Number(qos), retain: retain === '1' }
    if (version === 5 && !options.clean) options.properties = { sessionExpiryInterval: SESSION_EXPIRY }
    client = mqtt.connect(options)
    client.on('connect', packet => say('connected', packet.sessionPresent ? 1 : 0))
    client.on('error', err => say('failed', err.message))
    client.on('message', (topic, payload, packet) =>
      say('message', packet.qos, packet.retain ? 1 : 0, topic, payload))
  },
  subscribe (rest) {
    const [qos, filter] = split(rest, 1)
    client.subscribe(filter, { qos: Number(qos) }, (err, granted) =>
      err ? say('failed', err.message) : say('subscribed', granted[0].qos))
  },
  unsubscribe (filter) {
    client.unsubscribe(filter, answer('unsubscribed'))
  },
  publish (rest) {
    const [qos, retain, topic, payload] = split(rest, 3)
    client.publish(topic, payload, { qos: Number(qos), retain: retain === '1' },
      answer('published'))
  },
  disconnect () {
    client.end(false, {}, answer('disconnected'))
  }
}

readline.createInterface({ input: process.stdin }).on('line', line => {
  const [word, rest] = split(line, 1)
  commands[word](rest)
}).on('close', () => process.exit(0))
