"""confluent-kafka (librdkafka)."""

import sys

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, Producer, TopicPartition
from confluent_kafka.admin import AdminClient, NewTopic

import lines


def settings(options, more=None):
    return {"bootstrap.servers": options.bootstrap, **(more or {}), **options.settings}


def create_topic(options):
    admin = AdminClient(settings(options))
    topic = NewTopic(options.topic, num_partitions=options.partitions, replication_factor=1)
    for future in admin.create_topics([topic]).values():
        future.result()


def produce(options):
    """Sends each record of stdin; survives an absent broker for ten minutes."""
    producer = Producer(
        settings(
            options,
            {
                "enable.idempotence": True,
                "compression.type": options.codec,
                "message.max.bytes": 1048588,
                "message.timeout.ms": 600_000,
                "reconnect.backoff.max.ms": 500,
            },
        )
    )

    def send(record):
        def delivered(error, message):
            if error is not None:
                lines.emit_failed(record["index"], error)
            else:
                lines.emit_ack(record["index"], message.partition(), message.offset())

        while True:
            try:
                return producer.produce(
                    options.topic,
                    value=record["value"],
                    key=record["key"],
                    partition=record["partition"],
                    headers=record["headers"],
                    timestamp=record["timestamp"],
                    on_delivery=delivered,
                )
            except BufferError:
                producer.poll(0.1)

    background = lines.Background(lambda: producer.poll(0.05))
    for line in sys.stdin:
        send(lines.record(line))
    background.stop()
    producer.flush()


def emit(message):
    if message.error():
        raise KafkaException(message.error())
    lines.emit_record(
        message.partition(),
        message.offset(),
        message.timestamp()[1],
        message.key(),
        message.value(),
        message.headers(),
    )


def topic_partitions(consumer, topic, offset):
    metadata = consumer.list_topics(topic, timeout=60)
    return [TopicPartition(topic, number, offset) for number in metadata.topics[topic].partitions]


def consume(options):
    """Reads all partitions from the start until `count` records came."""
    consumer = Consumer(settings(options, {"group.id": "unused", "enable.auto.commit": False}))
    consumer.assign(topic_partitions(consumer, options.topic, OFFSET_BEGINNING))
    missing = options.count
    while missing > 0:
        for message in consumer.consume(100, timeout=1):
            emit(message)
            missing -= 1
    consumer.close()


def group(options):
    """A member of a group: a line on stdin commits, the end of stdin leaves."""
    assigned_by_broker = options.settings.get("group.protocol") == "consumer"
    own = {
        "group.id": options.group,
        "auto.offset.reset": "earliest",
        "enable.auto.commit": False,
        "reconnect.backoff.max.ms": 500,
    }
    if not assigned_by_broker:
        own["heartbeat.interval.ms"] = 500
    consumer = Consumer(settings(options, own))
    commands = lines.Commands()
    held = set()

    def assigned(consumer, partitions):
        if not assigned_by_broker:
            held.clear()
        held.update(partition.partition for partition in partitions)
        lines.emit("assignment", sorted(held))

    def revoked(consumer, partitions):
        try:
            consumer.commit(asynchronous=False)
        except KafkaException as error:
            if error.args[0].name() != "_NO_OFFSET":
                raise
        lines.emit("revoked", sorted(partition.partition for partition in partitions))
        if assigned_by_broker:
            held.difference_update(partition.partition for partition in partitions)
            lines.emit("assignment", sorted(held))

    consumer.subscribe([options.topic], on_assign=assigned, on_revoke=revoked)
    while not commands.ended:
        if commands.take_commit():
            consumer.commit(asynchronous=False)
            lines.emit("committed", True)
        message = consumer.poll(0.1)
        if message is not None:
            emit(message)
    consumer.close()


def offsets(options):
    consumer = Consumer(settings(options, {"group.id": "unused"}))
    asked = topic_partitions(consumer, options.topic, options.timestamp)
    for found in consumer.offsets_for_times(asked, timeout=60):
        earliest, latest = consumer.get_watermark_offsets(found, timeout=60)
        lines.emit(
            "offsets",
            {
                "partition": found.partition,
                "earliest": earliest,
                "latest": latest,
                "at": found.offset,
            },
        )
    consumer.close()


def groups(options):
    admin = AdminClient(settings(options))
    listed = admin.list_consumer_groups().result().valid
    described = admin.describe_consumer_groups([options.group])[options.group].result()
    lines.emit(
        "groups",
        {
            "listed": [listing.group_id for listing in listed],
            "group": described.group_id,
            "state": described.state.name.capitalize(),
            "members": [
                sorted(partition.partition for partition in member.assignment.topic_partitions)
                for member in described.members
            ],
        },
    )


def transact(options):
    """Six transactions of two records and an offset each; every second one is aborted."""
    consumer = Consumer(settings(options, {"group.id": options.group}))
    producer = Producer(settings(options, {"transactional.id": options.group}))
    producer.init_transactions(60)
    for number in range(6):
        producer.begin_transaction()
        for half in range(2):
            producer.produce(options.topic, value=f"{number}-{half}", partition=0)
        producer.flush()
        next_offset = TopicPartition(options.topic, 0, number + 1)
        producer.send_offsets_to_transaction(
            [next_offset], consumer.consumer_group_metadata(), 60
        )
        if number % 2 == 0:
            producer.commit_transaction(60)
        else:
            producer.abort_transaction(60)
    [committed] = consumer.committed([TopicPartition(options.topic, 0)], timeout=60)
    lines.emit("checked", str(committed.offset))
    consumer.close()


if __name__ == "__main__":
    lines.run(create_topic, produce, consume, group, offsets, groups, transact)
