use super::*;

#[test]
fn every_name_is_there_once_and_in_order() {
    for settings in [topic_settings(), broker_settings()] {
        let names: Vec<_> = settings.iter().map(|setting| setting.name).collect();
        let sorted: BTreeSet<_> = names.iter().copied().collect();
        assert_eq!(names, sorted.into_iter().collect::<Vec<_>>());
    }
}

#[test]
fn every_default_is_a_value_of_its_own_setting() {
    for setting in topic_settings().iter().chain(broker_settings()) {
        if let Some(default) = setting.default {
            let parsed = setting.parse(default).unwrap();
            assert_eq!(parsed.to_string(), default, "{}", setting.name);
        }
    }
}

#[test]
fn every_synonym_is_a_broker_setting_and_the_last_has_the_default() {
    for setting in topic_settings() {
        let Scope::Topic(synonyms) = setting.scope else {
            panic!("{}", setting.name)
        };
        for (i, synonym) in synonyms.iter().enumerate() {
            let broker = broker_setting(synonym.name).unwrap();
            let scope = Scope::TopicDefault {
                topic: setting.name,
                unit: synonym.unit,
            };
            assert_eq!(broker.scope, scope);
            assert_eq!(broker.default.is_some(), i + 1 == synonyms.len());
        }
    }
}

#[test]
fn every_alias_is_a_broker_setting_with_a_default() {
    for setting in broker_settings() {
        if let Scope::Broker { alias: Some(alias) } = setting.scope {
            assert_eq!(setting.default, None);
            assert!(broker_setting(alias).unwrap().default.is_some());
        }
    }
}

#[test]
fn no_name_is_both_in_the_table_and_foreign() {
    for setting in broker_settings() {
        let foreign = foreign(setting.name).map(|foreign| foreign.name);
        assert_ne!(foreign, Some(setting.name));
    }
}

#[test]
fn every_setting_says_what_it_does() {
    for setting in topic_settings().iter().chain(broker_settings()) {
        assert!(setting.doc.ends_with('.'), "{}", setting.name);
    }
}

#[test]
fn a_topic_has_the_settings_that_kafka_lists() {
    assert_eq!(topic_settings().len(), 33);
}
