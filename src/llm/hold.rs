//! A request that is made ready while what led to it goes onto the disk, and leaves the server only then.

use tokio::sync::SetOnce;

/// Holds a request back. The default lets it pass.
#[derive(Debug, Clone, Copy, Default)]
pub(crate) struct Hold<'a>(Option<&'a SetOnce<()>>);

impl<'a> Hold<'a> {
    pub(crate) fn until(released: &'a SetOnce<()>) -> Self {
        Self(Some(released))
    }

    /// To be waited for before the first byte is sent.
    pub(super) async fn released(self) {
        if let Some(released) = self.0 {
            released.wait().await;
        }
    }
}
