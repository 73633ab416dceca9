//! Pure. Values by name, read with the type that the table says they have.

use std::time::Duration;

use super::setting::Value;

/// A place to read values from. The readers fall back to zero, nothing or `false` where the name
/// has no value or one of another type; the tests read every name, so that this does not happen.
pub(super) trait Values {
    fn value(&self, name: &'static str) -> Option<Value>;

    fn bool(&self, name: &'static str) -> bool {
        match self.value(name) {
            Some(Value::Bool(value)) => value,
            other => wrong(name, other.as_ref()),
        }
    }

    fn integer(&self, name: &'static str) -> i64 {
        match self.value(name) {
            Some(Value::Integer(value)) => value,
            other => wrong(name, other.as_ref()),
        }
    }

    fn double(&self, name: &'static str) -> f64 {
        match self.value(name) {
            Some(Value::Double(value)) => value,
            other => wrong(name, other.as_ref()),
        }
    }

    fn text(&self, name: &'static str) -> Option<String> {
        match self.value(name) {
            Some(Value::Text(value)) => Some(value),
            None => None,
            other => wrong(name, other.as_ref()),
        }
    }

    fn list(&self, name: &'static str) -> Vec<String> {
        match self.value(name) {
            Some(Value::List(words)) => words,
            None => Vec::new(),
            other => wrong(name, other.as_ref()),
        }
    }

    fn i32(&self, name: &'static str) -> i32 {
        i32::try_from(self.integer(name)).unwrap_or(i32::MAX)
    }

    fn u32(&self, name: &'static str) -> u32 {
        u32::try_from(self.integer(name)).unwrap_or_default()
    }

    fn usize(&self, name: &'static str) -> usize {
        usize::try_from(self.integer(name)).unwrap_or(usize::MAX)
    }

    fn milliseconds(&self, name: &'static str) -> Duration {
        Duration::from_millis(self.integer(name).try_into().unwrap_or_default())
    }

    /// Nothing where the value is the largest integer, Kafka's way to say never.
    fn milliseconds_or_never(&self, name: &'static str) -> Option<Duration> {
        (self.integer(name) != i64::MAX).then(|| self.milliseconds(name))
    }

    /// Nothing where the value is negative, Kafka's way to say without limit.
    fn unlimited_if_negative(&self, name: &'static str) -> Option<u64> {
        u64::try_from(self.integer(name)).ok()
    }
}

fn wrong<T: Default>(name: &str, value: Option<&Value>) -> T {
    debug_assert!(false, "{name} is read as another type than {value:?}");
    T::default()
}
