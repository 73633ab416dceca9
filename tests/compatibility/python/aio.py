"""aiokafka."""

import asyncio
import contextlib
import sys

from aiokafka import (
    AIOKafkaConsumer,
    AIOKafkaProducer,
    ConsumerRebalanceListener,
    TopicPartition,
)
from aiokafka.admin import AIOKafkaAdminClient, NewTopic
from aiokafka.coordinator.protocol import ConsumerProtocolMemberAssignment
from aiokafka.errors import CommitFailedError, KafkaError, for_code

import lines


def settings(options, **more):
    return {"bootstrap_servers": options.bootstrap, **more, **options.settings}


async def create_topic(options):
    async with admin_client(options) as admin:
        topic = NewTopic(options.topic, num_partitions=options.partitions, replication_factor=1)
        answer = await admin.create_topics([topic])
        for name, code, *_ in answer.topic_errors:
            if code != 0:
                raise for_code(code)(name)


async def produce(options):
    """Sends each record of stdin with an idempotent producer; survives an absent broker for ten minutes."""
    loop = asyncio.get_running_loop()
    producer = AIOKafkaProducer(
        **settings(
            options,
            compression_type=None if options.codec == "none" else options.codec,
            enable_idempotence=True,
            request_timeout_ms=600_000,
        )
    )

    async def acknowledged(index, future):
        try:
            sent = await future
            lines.emit_ack(index, sent.partition, sent.offset)
        except KafkaError as error:
            lines.emit_failed(index, error)

    async with producer, asyncio.TaskGroup() as tasks:
        while line := await loop.run_in_executor(None, sys.stdin.readline):
            record = lines.record(line)
            future = await producer.send(
                options.topic,
                value=record["value"],
                key=record["key"],
                partition=record["partition"],
                timestamp_ms=record["timestamp"],
                headers=record["headers"],
            )
            tasks.create_task(acknowledged(record["index"], future))


def emit(batches):
    """Prints what was fetched; returns how many records."""
    count = 0
    for records in batches.values():
        for record in records:
            count += 1
            lines.emit_record(
                record.partition,
                record.offset,
                record.timestamp,
                record.key,
                record.value,
                record.headers,
            )
    return count


def reader(options):
    """A consumer without a group: it holds all partitions of the topic."""
    return AIOKafkaConsumer(options.topic, **settings(options, auto_offset_reset="earliest"))


async def consume(options):
    """Reads all partitions from the start until `count` records came."""
    async with reader(options) as consumer:
        missing = options.count
        while missing > 0:
            missing -= emit(await consumer.getmany(timeout_ms=1000))


class Listener(ConsumerRebalanceListener):
    """Commits what is given back and prints what is held."""

    def __init__(self, consumer):
        self.consumer = consumer

    async def on_partitions_revoked(self, revoked):
        if revoked:
            await self.consumer.commit()
        lines.emit("revoked", sorted(partition.partition for partition in revoked))

    async def on_partitions_assigned(self, assigned):
        lines.emit("assignment", sorted(partition.partition for partition in assigned))


async def group(options):
    """A member of a group: a line on stdin commits, the end of stdin leaves."""
    consumer = AIOKafkaConsumer(
        **settings(
            options,
            group_id=options.group,
            auto_offset_reset="earliest",
            enable_auto_commit=False,
            heartbeat_interval_ms=500,
        )
    )
    consumer.subscribe([options.topic], listener=Listener(consumer))
    commands = lines.Commands()
    async with consumer:
        while not commands.ended:
            if commands.take_commit():
                await consumer.commit()
                lines.emit("committed", True)
            emit(await consumer.getmany(timeout_ms=100))
        # Another member that has just left makes the group rebalance: what is refused then is read again.
        with contextlib.suppress(CommitFailedError):
            await consumer.commit()


async def offsets(options):
    async with reader(options) as consumer:
        partitions = sorted(consumer.assignment())
        earliest = await consumer.beginning_offsets(partitions)
        latest = await consumer.end_offsets(partitions)
        asked = {partition: options.timestamp for partition in partitions}
        for partition, at in (await consumer.offsets_for_times(asked)).items():
            lines.emit(
                "offsets",
                {
                    "partition": partition.partition,
                    "earliest": earliest[partition],
                    "latest": latest[partition],
                    "at": -1 if at is None else at.offset,
                },
            )


class admin_client:
    """The admin client as a context."""

    def __init__(self, options):
        self.client = AIOKafkaAdminClient(**settings(options))

    async def __aenter__(self):
        await self.client.start()
        return self.client

    async def __aexit__(self, *_):
        await self.client.close()


async def groups(options):
    async with admin_client(options) as admin:
        listed = await admin.list_consumer_groups()
        [answer] = await admin.describe_consumer_groups([options.group])
    [described] = answer.to_object()["groups"]
    lines.emit(
        "groups",
        {
            "listed": [name for name, *_ in listed],
            "group": described["group"],
            "state": described["state"],
            "members": [held(member["member_assignment"]) for member in described["members"]],
        },
    )


def held(assignment):
    """The partitions in the bytes of an assignment: the admin client does not decode them."""
    decoded = ConsumerProtocolMemberAssignment.decode(assignment)
    return sorted(number for _, numbers in decoded.assignment for number in numbers)


async def transact(options):
    """Six transactions of two records and an offset each; every second one is aborted."""
    partition = TopicPartition(options.topic, 0)
    producer = AIOKafkaProducer(**settings(options, transactional_id=options.group))
    async with producer:
        for number in range(6):
            await producer.begin_transaction()
            for half in range(2):
                value = f"{number}-{half}".encode()
                await producer.send_and_wait(options.topic, value=value, partition=0)
            await producer.send_offsets_to_transaction({partition: number + 1}, options.group)
            if number % 2 == 0:
                await producer.commit_transaction()
            else:
                await producer.abort_transaction()
    consumer = AIOKafkaConsumer(
        **settings(options, group_id=options.group, enable_auto_commit=False)
    )
    async with consumer:
        consumer.assign([partition])
        lines.emit("checked", str(await consumer.committed(partition)))


if __name__ == "__main__":
    asyncio.run(lines.run(create_topic, produce, consume, group, offsets, groups, transact))
