//! Values that stand in JSON as one word, where peers may say words that we do not know.

/// Declares an enum of words on the wire. Words that are not listed are kept as `Other`, which comes first so that an
/// order derived from the list puts them below everything.
macro_rules! wire_names {
    ($(
        $(#[$meta:meta])*
        pub enum $name:ident { $($(#[$doc:meta])* $variant:ident = $word:literal,)+ }
    )+) => {$(
        $(#[$meta])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, serde::Serialize, serde::Deserialize)]
        #[serde(from = "String", into = "String")]
        pub enum $name {
            /// A word of a later version, or of another program.
            Other(String),
            $($(#[$doc])* $variant,)+
        }

        impl $name {
            /// The word on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $name::Other(name) => name,
                    $($name::$variant => $word,)+
                }
            }
        }

        impl From<&str> for $name {
            fn from(name: &str) -> Self {
                match name {
                    $($word => $name::$variant,)+
                    other => $name::Other(other.to_owned()),
                }
            }
        }

        impl From<String> for $name {
            fn from(name: String) -> Self {
                $name::from(name.as_str())
            }
        }

        impl From<$name> for String {
            fn from(value: $name) -> Self {
                value.name().to_owned()
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(self.name())
            }
        }
    )+};
}

pub(crate) use wire_names;
