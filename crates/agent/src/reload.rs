//! What is read anew on SIGHUP and by `PUT /v1/agent/reload`.

use crate::{certificates::Certificates, definitions::DefinitionFiles};

/// The files that an agent follows. Cheap to clone.
#[derive(Clone, Debug)]
pub(crate) struct Reload {
    pub(crate) definitions: DefinitionFiles,
    pub(crate) certificates: Option<Certificates>,
}

impl Reload {
    pub(crate) const fn of(
        definitions: DefinitionFiles,
        certificates: Option<Certificates>,
    ) -> Self {
        Self {
            definitions,
            certificates,
        }
    }

    /// Reads all of them, also if some cannot be used. An error is a reason for people; what it speaks
    /// of stays as it was.
    pub(crate) async fn run(self) -> Result<(), String> {
        let certificates = async {
            match self.certificates {
                Some(certificates) => certificates.reload().await,
                None => Ok(()),
            }
        };
        // Beside each other: a directory that does not answer must not hold up a certificate.
        let (definitions, certificates) = tokio::join!(self.definitions.reload(), certificates);
        let definitions = definitions.map_err(|error| error.to_string());
        match (definitions, certificates) {
            (Err(one), Err(other)) => Err(format!("{one}; {other}")),
            (definitions, certificates) => definitions.and(certificates),
        }
    }
}
