"""temporary."""
class History:
    def __init__(self, params):
        self.history, self.epoch, self.params = {}, [], params
    def add(self, epoch, logs):
        self.epoch.append(epoch)
        for name, value in logs.items():
            self.history.setdefault(name, []).append(value)
class CallbackList:
    def __init__(self, callbacks, model, **params):
        self.history = History(params)
    def wants_batches(self, phase): return False
    def __getattr__(self, name):
        return lambda *a: None
    def on_epoch_end(self, epoch, logs): self.history.add(epoch, logs)
