// kafkajs.
'use strict'

const { AssignerProtocol, CompressionCodecs, CompressionTypes, Kafka, logLevel } = require('kafkajs')
const lines = require('./lines')

CompressionCodecs[CompressionTypes.Snappy] = require('kafkajs-snappy')

const codecs = {
  none: CompressionTypes.None,
  gzip: CompressionTypes.GZIP,
  snappy: CompressionTypes.Snappy,
}

const options = lines.options()
const kafka = new Kafka({
  brokers: [options.bootstrap],
  logLevel: logLevel.WARN,
  logCreator: () => (entry) => console.error(entry.namespace, entry.log.message, entry.log.error ?? ''),
  // Survives an absent broker for some minutes.
  retry: { initialRetryTime: 100, maxRetryTime: 500, retries: 1000 },
})

async function createTopic() {
  const admin = kafka.admin()
  await admin.connect()
  await admin.createTopics({
    topics: [{ topic: options.topic, numPartitions: Number(options.partitions) }],
  })
  await admin.disconnect()
}

/** Sends each record of stdin with an idempotent producer, one request at a time. */
async function produce() {
  const producer = kafka.producer({ idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for await (const line of lines.input()) {
    const { index, message } = lines.record(line)
    try {
      const [{ partition, baseOffset }] = await producer.send({
        topic: options.topic,
        compression: codecs[options.codec],
        messages: [message],
      })
      lines.print('ack', { index, partition, offset: Number(baseOffset) })
    } catch (error) {
      lines.print('failed', { index, error: String(error) })
    }
  }
  await producer.disconnect()
}

/** Reads all partitions from the start until `count` records came: kafkajs does so only in a group. */
async function consume() {
  const consumer = kafka.consumer({ groupId: `${options.topic}-${process.pid}` })
  await consumer.connect()
  await consumer.subscribe({ topic: options.topic, fromBeginning: true })
  let missing = Number(options.count)
  await new Promise((resolve) =>
    consumer.run({
      autoCommit: false,
      eachMessage: async ({ partition, message }) => {
        lines.printRecord(partition, message)
        missing -= 1
        if (missing === 0) {
          resolve()
        }
      },
    })
  )
  await consumer.disconnect()
}

/** A member of a group: a line on stdin commits, the end of stdin leaves; kafkajs also commits by itself. */
async function group() {
  const { topic } = options
  const consumer = kafka.consumer({ groupId: options.group, heartbeatInterval: 500 })
  const next = new Map()
  const commit = () =>
    consumer.commitOffsets(
      [...next].map(([partition, offset]) => ({ topic, partition, offset: String(offset) }))
    )
  consumer.on(consumer.events.GROUP_JOIN, ({ payload }) => {
    const held = payload.memberAssignment[topic] ?? []
    for (const partition of next.keys()) {
      if (!held.includes(partition)) {
        next.delete(partition)
      }
    }
    lines.print('assignment', held)
  })
  await consumer.connect()
  await consumer.subscribe({ topic, fromBeginning: true })
  await consumer.run({
    eachMessage: async ({ partition, message }) => {
      lines.printRecord(partition, message)
      next.set(partition, Number(message.offset) + 1)
    },
  })
  for await (const _ of lines.input()) {
    await commit()
    lines.print('committed', true)
  }
  await commit()
  await consumer.disconnect()
}

async function offsets() {
  const admin = kafka.admin()
  await admin.connect()
  const bounds = await admin.fetchTopicOffsets(options.topic)
  const found = await admin.fetchTopicOffsetsByTimestamp(options.topic, Number(options.timestamp))
  for (const { partition, low, high } of bounds) {
    // kafkajs says the latest offset where the broker says that there is none.
    const at = found.find((offset) => offset.partition === partition).offset
    lines.print('offsets', {
      partition,
      earliest: Number(low),
      latest: Number(high),
      at: at === high ? -1 : Number(at),
    })
  }
  await admin.disconnect()
}

async function groups() {
  const admin = kafka.admin()
  await admin.connect()
  const listed = await admin.listGroups()
  const described = await admin.describeGroups([options.group])
  const [{ groupId, state, members }] = described.groups
  lines.print('groups', {
    listed: listed.groups.map((listing) => listing.groupId),
    group: groupId,
    state,
    members: members.map(({ memberAssignment }) => {
      const { assignment } = AssignerProtocol.MemberAssignment.decode(memberAssignment)
      return Object.values(assignment).flat().sort()
    }),
  })
  await admin.disconnect()
}

/** Six transactions of two records and an offset each; every second one is aborted. */
async function transact() {
  const { topic, group: groupId } = options
  const producer = kafka.producer({ transactionalId: groupId, idempotent: true, maxInFlightRequests: 1 })
  await producer.connect()
  for (let number = 0; number < 6; number++) {
    const transaction = await producer.transaction()
    const messages = [0, 1].map((half) => ({ partition: 0, value: `${number}-${half}` }))
    await transaction.send({ topic, messages })
    const partitions = [{ partition: 0, offset: String(number + 1) }]
    await transaction.sendOffsets({ consumerGroupId: groupId, topics: [{ topic, partitions }] })
    await (number % 2 === 0 ? transaction.commit() : transaction.abort())
  }
  await producer.disconnect()
  const admin = kafka.admin()
  await admin.connect()
  const [{ partitions }] = await admin.fetchOffsets({ groupId, topics: [topic] })
  lines.print('checked', partitions[0].offset)
  await admin.disconnect()
}

const scenarios = {
  'create-topic': createTopic,
  produce,
  consume,
  group,
  offsets,
  groups,
  transact,
}

scenarios[options.scenario]().catch((error) => {
  console.error(error)
  process.exit(1)
})
