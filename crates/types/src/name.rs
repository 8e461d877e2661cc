//! Bounded, printable names. A value of these types has been checked once and stays valid.

use std::{borrow::Borrow, fmt};

use serde::{Deserialize, Serialize};

use crate::{Text, limits::NAME_BYTES};

/// The text cannot be a name; nothing was changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum NameError {
    /// The text has no characters.
    #[error("a {kind} must not be empty")]
    Empty {
        /// What the name was for.
        kind: &'static str,
    },
    /// The text exceeds [`NAME_BYTES`].
    #[error("a {kind} has at most {NAME_BYTES} bytes, this one has {bytes}")]
    TooLong {
        /// What the name was for.
        kind: &'static str,
        /// The text's length in bytes.
        bytes: usize,
    },
    /// The text holds a control character, which no log line or table can show.
    #[error("a {kind} must not contain control characters")]
    Control {
        /// What the name was for.
        kind: &'static str,
    },
}

fn check(kind: &'static str, text: &str) -> Result<(), NameError> {
    if text.is_empty() {
        return Err(NameError::Empty { kind });
    }
    if text.len() > NAME_BYTES {
        return Err(NameError::TooLong {
            kind,
            bytes: text.len(),
        });
    }
    let is_plain = text.bytes().all(|byte| matches!(byte, b' '..=b'~'));
    if !is_plain && text.chars().any(char::is_control) {
        return Err(NameError::Control { kind });
    }
    Ok(())
}

macro_rules! name {
    ($(#[$doc:meta])* $name:ident, $kind:literal) => {
        $(#[$doc])*
        ///
        /// Cheap to clone. 1 to [`NAME_BYTES`] bytes of UTF-8 without control characters.
        #[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(try_from = "Text", into = "Text")]
        pub struct $name(Text);

        impl $name {
            /// Checks `text` and takes it as a name.
            ///
            /// # Errors
            /// [`NameError`] if the text is empty, too long or not printable.
            pub fn new(text: impl AsRef<str>) -> Result<Self, NameError> {
                let text = text.as_ref();
                check($kind, text)?;
                Ok(Self(text.into()))
            }

            /// The name's text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl TryFrom<Text> for $name {
            type Error = NameError;

            fn try_from(text: Text) -> Result<Self, NameError> {
                check($kind, &text)?;
                Ok(Self(text))
            }
        }

        impl From<$name> for Text {
            fn from(name: $name) -> Self {
                name.0
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                fmt::Debug::fmt(self.as_str(), f)
            }
        }
    };
}

name! {
    /// What people call a node. A label: two nodes may bear it, the [`NodeId`](crate::NodeId) decides.
    NodeName, "node name"
}
name! {
    /// What clients look up. Compared without regard to ASCII case in lookups.
    ServiceName, "service name"
}
name! {
    /// One instance of a service on its node; by default the service's name.
    ServiceId, "service id"
}
name! {
    /// One check on its node.
    CheckId, "check id"
}

impl ServiceName {
    /// The form in which lookups compare names.
    pub fn folded(&self) -> Text {
        Self::fold(&self.0)
    }

    /// The form in which lookups compare this name.
    pub fn fold(name: &str) -> Text {
        if name.bytes().any(|byte| byte.is_ascii_uppercase()) {
            name.to_ascii_lowercase().into()
        } else {
            name.into()
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        assert!(matches!(NodeName::new(""), Err(NameError::Empty { .. })));
        assert!(matches!(
            ServiceId::new("a\nb"),
            Err(NameError::Control { .. })
        ));
        assert!(matches!(
            CheckId::new("x".repeat(256)),
            Err(NameError::TooLong { bytes: 256, .. })
        ));
        assert_eq!(
            ServiceName::new("Web").map(|n| n.folded().to_string()),
            Ok("web".to_owned())
        );
    }
}
