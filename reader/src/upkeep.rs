//! Looking after lists without changing them: are they sound, and what could be freed?

use std::sync::Arc;

use klstore_format::ListStats;
use klstore_format::plan::{
    SweepReport, VerifyProgress, VerifyReport, sweep_commits, sweep_objects, verify, without_writes,
};

use crate::error::ReaderError;
use crate::s3_store_reader::S3StoreReader;

impl S3StoreReader {
    /// Reads everything of a list, past the cache, and says what is wrong with it: objects that are missing, damaged,
    /// or not what others say of them, and those that nothing refers to. `progress` is kept up to date meanwhile.
    ///
    /// Up to 16 MiB of objects are in memory at once, or one that is larger. A list that is appended to meanwhile is checked as it was at
    /// the begin.
    ///
    /// # Errors
    ///
    /// [`ReaderError::KeyspaceNotFound`]; [`ReaderError::Contended`] where compactions kept coming in between. Damage
    /// is no error but in the report.
    pub async fn verify(
        &self,
        keyspace: &str,
        key: &str,
        progress: Arc<VerifyProgress>,
    ) -> Result<VerifyReport, ReaderError> {
        let plan = verify(self.list_name(keyspace, key)?, progress);
        Ok(self.run(plan, &mut ListStats::default()).await??)
    }

    /// What a sweep of the writer would free now: what crashes have left of a list.
    ///
    /// # Errors
    ///
    /// Index pages that are corrupt; objects that cannot be read are in the report.
    pub async fn find_garbage(&self, keyspace: &str, key: &str) -> Result<SweepReport, ReaderError> {
        let list = self.list_name(keyspace, key)?;
        let stats = &mut ListStats::default();
        let mut report = self.run(without_writes(sweep_commits(list.clone())), stats).await??;
        report.add(self.run(without_writes(sweep_objects(list)), stats).await??);
        Ok(report)
    }
}
