"""The sandbox: everything that stands for AWS, or starts the product on one machine.

Installed only when `settings.SANDBOX` is on; nothing below it in the layers knows of it.
"""
