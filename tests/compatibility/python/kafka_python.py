"""kafka-python."""

import sys

from kafka import ConsumerRebalanceListener, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import KafkaAdminClient

import lines


def settings(options, **more):
    return {"bootstrap_servers": options.bootstrap, **more, **options.settings}


def create_topic(options):
    admin = KafkaAdminClient(**settings(options))
    topic = {"num_partitions": options.partitions, "replication_factor": 1}
    admin.create_topics({options.topic: topic})
    admin.close()


def produce(options):
    """Sends each record of stdin with an idempotent producer; survives an absent broker for ten minutes."""
    producer = KafkaProducer(
        **settings(
            options,
            compression_type=None if options.codec == "none" else options.codec,
            delivery_timeout_ms=600_000,
            max_block_ms=600_000,
            reconnect_backoff_max_ms=500,
        )
    )
    for line in sys.stdin:
        record = lines.record(line)
        index = record["index"]
        future = producer.send(
            options.topic,
            value=record["value"],
            key=record["key"],
            headers=record["headers"],
            partition=record["partition"],
            timestamp_ms=record["timestamp"],
        )
        future.add_callback(lambda sent, index=index: lines.emit_ack(index, sent.partition, sent.offset))
        future.add_errback(lambda error, index=index: lines.emit_failed(index, error))
    producer.flush()
    producer.close()


def emit(batches):
    """Prints what a poll returned; returns how many records."""
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


def topic_partitions(consumer, topic):
    return [TopicPartition(topic, number) for number in sorted(consumer.partitions_for_topic(topic))]


def consume(options):
    """Reads all partitions from the start until `count` records came."""
    consumer = KafkaConsumer(**settings(options))
    partitions = topic_partitions(consumer, options.topic)
    consumer.assign(partitions)
    consumer.seek_to_beginning(*partitions)
    missing = options.count
    while missing > 0:
        missing -= emit(consumer.poll(timeout_ms=1000))
    consumer.close()


class Listener(ConsumerRebalanceListener):
    """Prints what is held. It cannot commit, being called on the thread that would have to send."""

    def __init__(self, consumer):
        self.consumer = consumer

    def on_partitions_revoked(self, revoked):
        lines.emit("revoked", sorted(partition.partition for partition in revoked))

    def on_partitions_assigned(self, assigned):
        held = self.consumer.assignment()
        lines.emit("assignment", sorted(partition.partition for partition in held))


def apply_late_joins(consumer):
    """Lets a poll apply a join that ended after the poll before had timed out.

    kafka-python 3.0.12 takes such a join for done, and neither uses its assignment nor sends heartbeats again.
    """
    coordinator = consumer._coordinator
    need_rejoin = coordinator.need_rejoin
    coordinator.need_rejoin = lambda: need_rejoin() or coordinator.rejoining


def group(options):
    """A member of a group: a line on stdin commits, the end of stdin leaves.

    Automatic commits happen before partitions are given back, and otherwise too late for any test.
    """
    consumer = KafkaConsumer(
        **settings(
            options,
            group_id=options.group,
            auto_offset_reset="earliest",
            enable_auto_commit=True,
            auto_commit_interval_ms=600_000,
            heartbeat_interval_ms=500,
            reconnect_backoff_max_ms=500,
        )
    )
    apply_late_joins(consumer)
    consumer.subscribe([options.topic], listener=Listener(consumer))
    commands = lines.Commands()
    while not commands.ended:
        if commands.take_commit():
            consumer.commit()
            lines.emit("committed", True)
        emit(consumer.poll(timeout_ms=100))
    consumer.close()


def offsets(options):
    consumer = KafkaConsumer(**settings(options))
    partitions = topic_partitions(consumer, options.topic)
    earliest = consumer.beginning_offsets(partitions)
    latest = consumer.end_offsets(partitions)
    found = consumer.offsets_for_times({partition: options.timestamp for partition in partitions})
    for partition in partitions:
        at = found[partition]
        lines.emit(
            "offsets",
            {
                "partition": partition.partition,
                "earliest": earliest[partition],
                "latest": latest[partition],
                "at": -1 if at is None else at.offset,
            },
        )
    consumer.close()


def groups(options):
    admin = KafkaAdminClient(**settings(options))
    listed = admin.list_groups()
    described = admin.describe_groups([options.group])[options.group]
    lines.emit(
        "groups",
        {
            "listed": [listing["group_id"] for listing in listed],
            "group": described["group_id"],
            "state": described["group_state"],
            "members": [
                sorted(
                    partition
                    for topic in member["member_assignment"]["assigned_partitions"]
                    for partition in topic["partitions"]
                )
                for member in described["members"]
            ],
        },
    )
    admin.close()


if __name__ == "__main__":
    lines.run(create_topic, produce, consume, group, offsets, groups)
