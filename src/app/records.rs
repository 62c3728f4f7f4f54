//! What is stored, for a command that only reads while no server runs.

use super::{admin_token, build::BuildError, instance::Instance};
use crate::{config::Config, data_dir::DataDir, db::Db};

/// Held, no server can start on the data directory.
#[derive(Debug)]
pub(crate) struct Records {
    pub(crate) db: Db,
    pub(crate) data_dir: DataDir,
    _instance: Instance,
}

impl Records {
    pub(crate) async fn open(config: &Config) -> Result<Self, BuildError> {
        let data_dir = DataDir::prepare(&config.data_dir).map_err(BuildError::DataDir)?;
        let instance = Instance::take(data_dir.path())?;
        // It is masked like any other secret.
        admin_token::load(&data_dir.admin_token()).map_err(BuildError::DataDir)?;
        let db = Db::open(&data_dir.database()).await?;
        Ok(Self { db, data_dir, _instance: instance })
    }
}
