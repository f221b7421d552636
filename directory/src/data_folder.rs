//! What outlives a restart: the folder's keys and files, read or made at the start.

use std::path::Path;

use anyhow::Result;
use protocol::{Secret, signing::SigningKey};

use crate::{
    ended_streams::EndedStreams, members::Members, operator_token, passes::Passes, state_file::Kept, ticket_key,
};

/// All of it.
pub(crate) struct DataFolder {
    /// What tickets are signed with.
    pub(crate) signer: SigningKey,
    pub(crate) operator_token: Secret,
    pub(crate) members: Kept<Members>,
    pub(crate) passes: Kept<Passes>,
    pub(crate) ended_streams: Kept<EndedStreams>,
}

impl DataFolder {
    /// Reads what is there, and makes the keys that are not.
    ///
    /// # Errors
    /// A sentence that says what to change.
    pub(crate) fn open(folder: &Path) -> Result<Self> {
        Ok(Self {
            signer: ticket_key::load_or_make(folder)?,
            operator_token: operator_token::load_or_make(folder)?,
            members: Kept::load(folder)?,
            passes: Kept::load(folder)?,
            ended_streams: Kept::load(folder)?,
        })
    }
}
