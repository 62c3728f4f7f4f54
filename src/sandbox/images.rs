//! The images that tasks may run in, as they lie on the machine.

use bollard::query_parameters::ListImagesOptions;

use super::{Engine, SandboxError};
use crate::config::AllowedImages;

#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct ImageOnDisk {
    pub(crate) name: String,
    /// With layers that it may share with others.
    pub(crate) bytes: u64,
}

impl Engine {
    /// The configured image and those that the settings name; whatever else somebody asked for is not told from the rest.
    pub(crate) async fn images(&self) -> Result<Vec<ImageOnDisk>, SandboxError> {
        let found = self.client().await?.list_images(None::<ListImagesOptions>).await;
        let found = found.map_err(|error| self.error("list its images", &error))?;
        let settings = &self.shared.settings;
        let is_named = |name: &String| {
            let patterns = match &settings.allowed_images {
                AllowedImages::Any => &[][..],
                AllowedImages::Listed(patterns) => patterns,
            };
            *name == settings.image || patterns.iter().any(|pattern| pattern.covers(name))
        };
        let named = found.into_iter().filter_map(|image| {
            let name = image.repo_tags.into_iter().find(is_named)?;
            Some(ImageOnDisk { name, bytes: u64::try_from(image.size).unwrap_or(0) })
        });
        Ok(named.collect())
    }
}
