//! The X screen as a PipeWire video source of BGRx frames, at a constant rate.

use std::{cell::Cell, io::Cursor, rc::Rc, time::Duration};

use anyhow::{Context as _, Result, anyhow};
use pipewire::{
    self as pw,
    spa::{
        self,
        param::{
            ParamType,
            format::{FormatProperties, MediaSubtype, MediaType},
            video::VideoFormat,
        },
        pod::{ChoiceValue, Object, Pod, Property, Value, object, property, serialize::PodSerializer},
        utils::{Choice, ChoiceEnum, ChoiceFlags, Direction, Fraction, Rectangle, SpaTypes},
    },
    stream::{Stream, StreamFlags},
};
use tokio::sync::oneshot;
use x11rb::{
    connection::Connection as _,
    protocol::xproto::{ConnectionExt as _, ImageFormat, Window},
    rust_connection::RustConnection,
};

/// Bytes of a BGRx pixel.
const PIXEL_BYTES: usize = 4;
/// PipeWire gives a node its id within a few turns of the loop; after so many timer ticks something is wrong.
const TICKS_WITHOUT_ID_MAX: u32 = 300;

/// The root window of the X screen.
pub(crate) struct Screen {
    connection: RustConnection,
    root: Window,
    width: u16,
    height: u16,
}

impl Screen {
    /// The screen that `DISPLAY` names.
    pub(crate) fn open() -> Result<Self> {
        let (connection, index) = x11rb::connect(None).context("no X screen to show")?;
        let screen = connection.setup().roots.get(index).context("the X server has no such screen")?;
        let (root, width, height) = (screen.root, screen.width_in_pixels, screen.height_in_pixels);
        Ok(Self { connection, root, width, height })
    }

    /// Width and height in pixels.
    pub(crate) fn size(&self) -> (u16, u16) {
        (self.width, self.height)
    }

    fn pixels(&self) -> Result<Vec<u8>> {
        let image = self.connection.get_image(ImageFormat::Z_PIXMAP, self.root, 0, 0, self.width, self.height, !0)?;
        Ok(image.reply()?.data)
    }

    /// Offers the screen as a node, says its id once it has one, and feeds it until the program ends.
    pub(crate) fn serve(self, frame_rate: u32, found: oneshot::Sender<u32>) -> Result<()> {
        pw::init();
        let main_loop = pw::main_loop::MainLoop::new(None)?;
        let core = pw::context::Context::new(&main_loop)?.connect(None).context("PipeWire does not answer")?;
        let properties = pw::properties::properties! {
            *pw::keys::MEDIA_CLASS => "Video/Source",
            *pw::keys::NODE_NAME => "portal-stub",
            *pw::keys::MEDIA_ROLE => "Screen",
        };
        let stream = Rc::new(Stream::new(&core, "portal-stub", properties)?);
        let (width, height) = (u32::from(self.width), u32::from(self.height));
        let buffers = buffer_parameters(width, height)?;
        let _listener = stream
            .add_local_listener_with_user_data(())
            .param_changed(move |stream, (), id, parameter| {
                if parameter.is_none() || id != ParamType::Format.as_raw() {
                    return;
                }
                let updated = Pod::from_bytes(&buffers).map(|pod| stream.update_params(&mut [pod]));
                if !matches!(updated, Some(Ok(()))) {
                    eprintln!("PipeWire refused the buffers");
                }
            })
            .process(move |stream, ()| {
                if let Err(error) = self.fill(stream) {
                    eprintln!("a frame was lost: {error:#}");
                }
            })
            .register()?;
        let format = format_parameters(width, height, frame_rate)?;
        let format = Pod::from_bytes(&format).context("the format is not a pod")?;
        stream.connect(Direction::Output, None, StreamFlags::DRIVER | StreamFlags::MAP_BUFFERS, &mut [format])?;

        let (ticking, found, ticks) = (Rc::clone(&stream), Cell::new(Some(found)), Cell::new(0));
        let timer = main_loop.loop_().add_timer(move |_| {
            if ticking.node_id() == u32::MAX {
                ticks.set(ticks.get() + 1);
                if ticks.get() > TICKS_WITHOUT_ID_MAX {
                    eprintln!("PipeWire gave the node no id");
                    std::process::exit(1);
                }
            } else if let Some(found) = found.take() {
                let _ = found.send(ticking.node_id());
            }
            if ticking.is_driving() {
                let _ = ticking.trigger_process();
            }
        });
        let interval = Duration::from_secs(1) / frame_rate.max(1);
        timer.update_timer(Some(interval), Some(interval)).into_result()?;
        main_loop.run();
        Ok(())
    }

    /// Copies the screen into the next free buffer.
    fn fill(&self, stream: &pw::stream::StreamRef) -> Result<()> {
        let Some(mut buffer) = stream.dequeue_buffer() else { return Ok(()) };
        let pixels = self.pixels()?;
        let data = buffer.datas_mut().first_mut().context("a buffer without data")?;
        let target = data.data().context("a buffer that is not mapped")?;
        target.get_mut(..pixels.len()).context("a buffer that is too small")?.copy_from_slice(&pixels);
        let chunk = data.chunk_mut();
        *chunk.offset_mut() = 0;
        *chunk.stride_mut() = i32::from(self.width) * i32::try_from(PIXEL_BYTES)?;
        *chunk.size_mut() = u32::try_from(pixels.len())?;
        Ok(())
    }
}

fn pod_bytes(object: Object) -> Result<Vec<u8>> {
    let serialized = PodSerializer::serialize(Cursor::new(Vec::new()), &Value::Object(object));
    Ok(serialized.map_err(|error| anyhow!("a pod can't be written: {error:?}"))?.0.into_inner())
}

fn buffer_parameters(width: u32, height: u32) -> Result<Vec<u8>> {
    let stride = i32::try_from(width as usize * PIXEL_BYTES)?;
    let range = ChoiceEnum::Range { default: 4, min: 2, max: 8 };
    let memory = ChoiceEnum::Flags { default: 1 << spa::sys::SPA_DATA_MemFd, flags: vec![] };
    let choice = |choice| Value::Choice(ChoiceValue::Int(Choice(ChoiceFlags::empty(), choice)));
    pod_bytes(Object {
        type_: SpaTypes::ObjectParamBuffers.as_raw(),
        id: ParamType::Buffers.as_raw(),
        properties: vec![
            Property::new(spa::sys::SPA_PARAM_BUFFERS_buffers, choice(range)),
            Property::new(spa::sys::SPA_PARAM_BUFFERS_blocks, Value::Int(1)),
            Property::new(spa::sys::SPA_PARAM_BUFFERS_size, Value::Int(stride * i32::try_from(height)?)),
            Property::new(spa::sys::SPA_PARAM_BUFFERS_stride, Value::Int(stride)),
            Property::new(spa::sys::SPA_PARAM_BUFFERS_dataType, choice(memory)),
        ],
    })
}

fn format_parameters(width: u32, height: u32, frame_rate: u32) -> Result<Vec<u8>> {
    pod_bytes(object!(
        SpaTypes::ObjectParamFormat,
        ParamType::EnumFormat,
        property!(FormatProperties::MediaType, Id, MediaType::Video),
        property!(FormatProperties::MediaSubtype, Id, MediaSubtype::Raw),
        property!(FormatProperties::VideoFormat, Id, VideoFormat::BGRx),
        property!(FormatProperties::VideoSize, Rectangle, Rectangle { width, height }),
        property!(FormatProperties::VideoFramerate, Fraction, Fraction { num: 0, denom: 1 }),
        property!(
            FormatProperties::VideoMaxFramerate,
            Choice,
            Range,
            Fraction,
            Fraction { num: frame_rate, denom: 1 },
            Fraction { num: 1, denom: 1 },
            Fraction { num: 240, denom: 1 }
        ),
    ))
}
