//! The one way to declare a message: fields with their versions, from which encoding, decoding,
//! sizes and bounds follow.

/// Declares structs of messages.
///
/// ```text
/// pub struct Name {
///     pub everywhere: i32,
///     pub from_three: i64 [3..] = -1,
///     pub until_twelve: StrBytes [..=12],
///     pub null_from_ten: Option<StrBytes> [0..; null 10..],
///     pub tagged: LeaderIdAndEpoch [12..; tag 1],
/// }
/// ```
///
/// * A field without a range is in every version; a range is any half-open or inclusive range of
///   version numbers.
/// * Writing a version that lacks a field drops its value. Reading one leaves its default.
/// * An `Option` is nullable in the versions after `null`, or in all. `None` is written as the
///   empty value where there is no null.
/// * A tagged field is left out when it has its default. Tags are declared in rising order.
/// * Without `= value` the default is that of the type: zero, empty, or `None`.
macro_rules! message {
    ($(
        $(#[$meta:meta])*
        pub struct $name:ident {
            $(
                $(#[$field_meta:meta])*
                pub $field:ident : $ty:ty
                $([ $versions:expr $(; null $null:expr)? $(; tag $tag:literal)? ])?
                $(= $default:expr)?
            ),* $(,)?
        }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq)]
        pub struct $name {
            $(
                $(#[$field_meta])*
                pub $field: $ty,
            )*
        }

        impl Default for $name {
            fn default() -> Self {
                Self { $($field: $crate::declare::message!(@default $ty $(, $default)?),)* }
            }
        }

        impl $crate::primitive::Wire for $name {
            fn min_size(version: $crate::primitive::Version) -> usize {
                let mut size = usize::from(version.flexible);
                $($crate::declare::message!(@untagged [$($($tag)?)?] {
                    if $crate::declare::message!(@in version $(, $versions)?) {
                        let version = version.with_nullable(
                            $crate::declare::message!(@in version $($(, $null)?)?)
                        );
                        size += <$ty as $crate::primitive::Wire>::min_size(version);
                    }
                });)*
                size
            }

            #[allow(unused_mut)]
            fn encode(
                &self,
                writer: &mut $crate::primitive::Writer,
                version: $crate::primitive::Version,
            ) {
                $($crate::declare::message!(@untagged [$($($tag)?)?] {
                    if $crate::declare::message!(@in version $(, $versions)?) {
                        let version = version.with_nullable(
                            $crate::declare::message!(@in version $($(, $null)?)?)
                        );
                        $crate::primitive::Wire::encode(&self.$field, writer, version);
                    }
                });)*
                if version.flexible {
                    let mut tags = 0;
                    $($crate::declare::message!(@tagged [$($($tag)?)?] tag {
                        if $crate::declare::message!(@in version $(, $versions)?)
                            && self.$field != $crate::declare::message!(@default $ty $(, $default)?)
                        {
                            tags += 1;
                        }
                    });)*
                    writer.put_unsigned_varint(tags);
                    $($crate::declare::message!(@tagged [$($($tag)?)?] tag {
                        if $crate::declare::message!(@in version $(, $versions)?)
                            && self.$field != $crate::declare::message!(@default $ty $(, $default)?)
                        {
                            writer.put_tagged(tag, |writer| {
                                $crate::primitive::Wire::encode(&self.$field, writer, version);
                            });
                        }
                    });)*
                }
            }

            fn decode(
                reader: &mut $crate::primitive::Reader,
                version: $crate::primitive::Version,
            ) -> Result<Self, $crate::error::DecodeError> {
                let mut message = Self::default();
                $($crate::declare::message!(@untagged [$($($tag)?)?] {
                    if $crate::declare::message!(@in version $(, $versions)?) {
                        let version = version.with_nullable(
                            $crate::declare::message!(@in version $($(, $null)?)?)
                        );
                        message.$field = $crate::primitive::Wire::decode(reader, version)?;
                    }
                });)*
                if version.flexible {
                    reader.tags(|reader, number| {
                        let _ = number;
                        $($crate::declare::message!(@tagged [$($($tag)?)?] tag {
                            if number == tag
                                && $crate::declare::message!(@in version $(, $versions)?)
                            {
                                message.$field = $crate::primitive::Wire::decode(reader, version)?;
                                return Ok(());
                            }
                        });)*
                        reader.skip();
                        Ok(())
                    })?;
                }
                Ok(message)
            }
        }

        impl $crate::primitive::Nullable for $name {}

        #[cfg(test)]
        impl $crate::arbitrary::Arbitrary for $name {
            fn arbitrary(
                source: &mut $crate::arbitrary::Source<'_>,
                version: $crate::primitive::Version,
            ) -> Self {
                Self {$(
                    $field: if $crate::declare::message!(@in version $(, $versions)?) {
                        let version = version.with_nullable(
                            $crate::declare::message!(@in version $($(, $null)?)?)
                        );
                        $crate::arbitrary::Arbitrary::arbitrary(source, version)
                    } else {
                        $crate::declare::message!(@default $ty $(, $default)?)
                    },
                )*}
            }
        }
    )+};

    (@default $ty:ty) => { <$ty as Default>::default() };
    (@default $ty:ty, $default:expr) => { $default };

    (@in $version:ident) => { true };
    (@in $version:ident, $versions:expr) => {
        std::ops::RangeBounds::contains(&$versions, &$version.number)
    };

    (@untagged [] $body:block) => { $body };
    (@untagged [$tag:literal] $body:block) => {};

    (@tagged [] $number:ident $body:block) => {};
    (@tagged [$tag:literal] $number:ident $body:block) => {{
        #[allow(dead_code, non_upper_case_globals)]
        const $number: u32 = $tag;
        $body
    }};
}

pub(crate) use message;
