//! Foreign Kafka clients, as their users have them, against a started broker.
//!
//! Each client has a small program in a folder of this directory; all speak the same command line and print JSON
//! lines, see `ottla_tests::Client` and `ottla_tests::Line`. What is checked stands here, once for all of them.

mod admin;
mod compaction;
mod connect;
mod consumer_protocol;
mod java;
mod kcat;
mod orders;
mod rust_client;
mod scenarios;
mod streams;
mod tools;
mod transactions;

/// The scenarios that every client passes, as one module of tests for each client.
macro_rules! clients {
    ($($module:ident: $client:expr;)*) => {$(
        mod $module {
            use crate::scenarios;
            use ottla_tests::client;

            #[test]
            fn every_codec_returns_every_byte_to_this_client_and_to_java() {
                scenarios::every_codec_returns_every_byte(&$client);
            }

            #[test]
            fn records_of_java_are_read_whatever_their_codec() {
                scenarios::records_of_java_are_read(&$client);
            }

            #[test]
            fn a_topic_is_created_by_producing_to_it() {
                scenarios::a_topic_is_created_by_producing_to_it(&$client);
            }

            #[test]
            fn two_members_share_a_group_and_one_takes_over_when_the_other_leaves() {
                scenarios::two_members_share_a_group(&$client);
            }

            #[test]
            fn a_restarted_member_continues_at_the_committed_offset() {
                scenarios::a_restarted_member_continues(&$client);
            }

            #[test]
            fn producing_and_consuming_go_on_when_the_broker_restarts() {
                scenarios::a_restart_of_the_broker_loses_nothing(&$client);
            }

            #[test]
            fn offsets_are_found_by_timestamp() {
                scenarios::offsets_are_found_by_timestamp(&$client);
            }

            #[test]
            fn groups_are_listed_and_described() {
                scenarios::groups_are_listed_and_described(&$client);
            }
        }
    )*};
}

clients! {
    apache_java: client::JAVA;
    confluent_python: client::CONFLUENT;
    kafka_python: client::KAFKA_PYTHON;
    aiokafka: client::AIOKAFKA;
    kafkajs: client::KAFKAJS;
    franz_go: client::FRANZ_GO;
    sarama: client::SARAMA;
}
