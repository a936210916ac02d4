"""All tables, one module per topic."""

from photoapp.models.account import AccountState, ClaimFence, NameClaim, User
from photoapp.models.base import Base
from photoapp.models.oauth import Client, Grant, Token
from photoapp.models.photo import Delivery, Media, MediaState, MediaTag, Mention, PersonInPhoto
from photoapp.models.reaction import Comment, Commented, Like, Liked, LikesSlot
from photoapp.models.relation import Block, BlockedBy, Follow, Following, FollowState
from photoapp.models.work import IdempotencyKey, IdState, Meta, Outbox, OutboxState

__all__ = [
    "AccountState", "Base", "Block", "BlockedBy", "ClaimFence", "Client", "Comment", "Commented", "Delivery", "Follow",
    "FollowState", "Following", "Grant", "IdState", "IdempotencyKey", "Like", "Liked", "LikesSlot", "Media",
    "MediaState", "MediaTag", "Mention", "Meta", "NameClaim", "Outbox", "OutboxState", "PersonInPhoto", "Token", "User",
]  # fmt: skip
