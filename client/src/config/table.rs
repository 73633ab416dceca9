//! The macro that declares settings once: from it come the struct, its defaults, the builder
//! methods, parsing by Kafka's names and `explain`.

/// Declares a struct of settings: `field: Type = default, "kafka.name";`.
macro_rules! settings {
    (
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                $field:ident : $ty:ty = $default:expr, $kafka:literal;
            )+
        }
    ) => {
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $($(#[$field_meta])* pub $field: $ty,)+
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $default,)+ }
            }
        }

        impl $name {
            /// Kafka's names of the settings, in the order of the fields.
            pub const NAMES: &'static [&'static str] = &[$($kafka,)+];

            $(
                $(#[$field_meta])*
                #[must_use]
                pub fn $field(mut self, value: impl Into<$ty>) -> Self {
                    self.$field = value.into();
                    self
                }
            )+

            /// Reads properties with Kafka's names.
            ///
            /// # Errors
            /// [`ConfigError`](crate::config::ConfigError) for a name that is not in
            /// [`NAMES`](Self::NAMES), with the nearest one, and for values that cannot be used.
            pub fn from_properties<K: AsRef<str>, V: AsRef<str>>(
                properties: impl IntoIterator<Item = (K, V)>,
            ) -> Result<Self, $crate::config::ConfigError> {
                let mut config = Self::default();
                for (name, value) in properties {
                    let (name, value) = (name.as_ref(), value.as_ref());
                    if !config.set_property(name, value)? {
                        return Err($crate::config::unknown(name, Self::NAMES.iter().copied()));
                    }
                }
                config.validate()?;
                Ok(config)
            }

            /// Sets one setting by Kafka's name. False when it is none of these.
            pub(crate) fn set_property(
                &mut self,
                name: &str,
                value: &str,
            ) -> Result<bool, $crate::config::ConfigError> {
                match name {
                    $($kafka => {
                        self.$field = $crate::config::parse($kafka, value)?;
                    })+
                    _ => return Ok(false),
                }
                Ok(true)
            }

            /// The effective values, one `name = value` a line; those that differ from their
            /// defaults say so.
            #[must_use]
            pub fn explain(&self) -> String {
                let mut text = String::new();
                $({
                    let default: $ty = $default;
                    let value = $crate::config::Value::show(&self.$field);
                    text.push_str(concat!($kafka, " = "));
                    text.push_str(&value);
                    if self.$field != default {
                        text.push_str(" (default ");
                        text.push_str(&$crate::config::Value::show(&default));
                        text.push(')');
                    }
                    text.push('\n');
                })+
                text
            }
        }
    };
}

pub(crate) use settings;
