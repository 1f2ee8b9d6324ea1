"""Address -> mailbox. `interface` says what protocol sessions call; `deliver.StoreDelivery` does it."""

from .deliver import StoreDelivery
from .interface import Delivery, DeliveryRefusal, Target, Trace

__all__ = ["Delivery", "DeliveryRefusal", "StoreDelivery", "Target", "Trace"]
