"""Find the files that come with the package: the sample newsletter, and the commented configuration of a new one."""

from pathlib import Path


def sample_folder() -> Path:
    """Return the folder that holds the sample's newsletter.toml and issues: in a wheel, or the checkout itself."""
    package = Path(__file__).parent
    beside = package / "sample_newsletter"
    return beside if beside.is_dir() else package.parent
